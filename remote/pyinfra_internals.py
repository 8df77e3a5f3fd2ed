"""
Everything that depends on private or fragile API of pyinfra and paramiko, in one place.

Nothing else in the project touches it, so that a new version of pyinfra is a matter of this file
and of ``tests/remote/test_pyinfra_internals.py``, which fails when any of it changes. What is
missing upstream stands at each function.

``pyinfra_cli`` is imported inside functions only: it patches the sockets and threads of whatever
imports it.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache, wraps
from inspect import signature
from pathlib import Path
from types import FrameType
from typing import Any, cast

from paramiko import Channel, ChannelFile, PKey, SSHException, Transport
from pyinfra import logger
from pyinfra.api import Config, FactBase, StringCommand
from pyinfra.api import arguments as arguments_module
from pyinfra.api import facts as facts_module
from pyinfra.api import util as api_util
from pyinfra.api.arguments import (
    CONNECTOR_ARGUMENT_KEYS,
    all_argument_meta,
    pop_global_arguments,
)
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host, HostData
from pyinfra.api.operation import OperationMeta
from pyinfra.api.state import State
from pyinfra.connectors import util
from pyinfra.connectors.sshuserclient import SSHClient
from pyinfra.connectors.sshuserclient.client import get_ssh_config
from pyinfra.context import ctx_config, ctx_host
from pyinfra.operations.util.files import generate_color_diff

# --- the connection -------------------------------------------------------------------------------


def client(host: Host) -> Any:
    """
    paramiko's client of a host; None when it is not reached over SSH, or never was.

    Missing upstream: pyinfra's connectors run commands and give access to nothing below.
    """
    return getattr(getattr(host, "connector", None), "client", None)


def transport(host: Host) -> Transport | None:
    """The connection of a host, open or not; None when it has none."""
    found = client(host)
    return found.get_transport() if found else None


def limit_channels(transport: Transport, seconds: float) -> None:
    """
    Give up opening a channel after some seconds, where the caller sets no limit.

    Upstream: pyinfra opens its channels without a limit; paramiko has the attribute and no setter.
    """
    transport.channel_timeout = seconds  # type: ignore[attr-defined]


def hop(above: Transport) -> Transport | None:
    """
    The connection to the ProxyJump node that another one goes through; None: it goes through none.

    Missing upstream: pyinfra keeps no reference to the hop's client.
    """
    below = above.sock
    return below.get_transport() if isinstance(below, Channel) else None


def host_key(host: Host) -> PKey | None:
    """The host key of the machine at the other end; None without an open SSH connection."""
    found = transport(host)
    return found.get_remote_server_key() if found and found.is_active() else None


def login_key(host: Host) -> tuple[str, PKey] | None:
    """
    The user and the key that opened the connection; None after another login, or without SSH.

    Missing upstream: paramiko has no public way to ask how a transport was authenticated.
    """
    found = transport(host)
    key = getattr(getattr(found, "auth_handler", None), "private_key", None)
    return (found.get_username() or "", key) if found and key else None


def opened_by_password(host: Host) -> bool:
    """Whether the login was by another method than a key; see ``login_key``."""
    handler = getattr(transport(host), "auth_handler", None)
    return handler is not None and handler.auth_method != "publickey"


def address(host: Host) -> str:
    """
    The address at which a host is reached: its HostName in ssh_config, or the name itself.

    Missing upstream: the connector does not say where it connects to.
    """
    name, config = _ssh_section(host)
    return str(config.lookup(name).get("hostname", name)) if config else name


def jump(host: Host) -> str:
    """The host through which another one is reached: its ProxyJump in ssh_config; "" without."""
    name, config = _ssh_section(host)
    return str(config.lookup(name).get("proxyjump", "")) if config else ""


def ssh_config_file(host: Host) -> Path | None:
    """The ssh_config file that a host is reached by; None when there is none."""
    _, config = _ssh_section(host)
    return Path(host.connector.data["ssh_config_file"]) if config else None


def ssh_name(host: Host) -> str:
    """The name by which pyinfra looks a host up in ssh_config."""
    return str(host.connector.data["ssh_hostname"] or host.name)


def redirect(host: Host, address: str) -> None:
    """
    Have the next connections to a host, and through it, go to another address.

    Everything else in its section of ssh_config (user, key, ProxyJump) stays in effect.

    Missing upstream: pyinfra reads ssh_config once a run and has no way to read it again.
    """
    name, config = _ssh_section(host)
    if config is None:
        host.connector.data["ssh_hostname"] = address
        return
    if not hasattr(config, "bramble_addresses"):
        addresses: dict[str, str] = {}
        known = config.lookup

        def lookup(hostname: str) -> Any:
            found = known(hostname)
            return found | {"hostname": addresses[hostname]} if hostname in addresses else found

        config.bramble_addresses, config.lookup = addresses, lookup
    config.bramble_addresses[name] = address


def _ssh_section(host: Host) -> tuple[str, Any]:
    return ssh_name(host), get_ssh_config(host.connector.data["ssh_config_file"])


# --- commands -------------------------------------------------------------------------------------


def shell_command(host: Host, command: StringCommand) -> StringCommand:
    """
    A command as pyinfra would send it to a host, run by root.

    Missing upstream: a connector method that streams output, or takes bytes on standard input.
    """
    return util.make_unix_command_for_host(host.state, host, command, _sudo=True)


def arguments(command: StringCommand) -> dict[str, Any]:
    """The global arguments (``_stdin`` …) that a command carries, for another one made of it."""
    return dict(command.connector_arguments)


def wrap_commands(
    make: Callable[[StringCommand], StringCommand],
    send: Callable[[str], str],
    decode: Callable[[bytes], str],
) -> None:
    """
    Change how pyinfra sends every command, and how it reads the output; a second call is ignored.

    + make: applied to a command before it is wrapped in sudo
    + send: applied to the command line for the login shell
    + decode: of a line that a node printed

    Missing upstream: ``config.ENV`` does not reach operations (``Config.copy`` drops it), the login
    shell is taken for a POSIX one, and output that is not UTF-8 ends at the first wrong byte.
    """
    if hasattr(SSHClient.exec_command, "bramble"):
        return
    make_unix_command, exec_command = util.make_unix_command, SSHClient.exec_command

    def made(command: StringCommand, **known: Any) -> StringCommand:
        return make_unix_command(make(command), **known)

    # pyinfra takes an SSHException for the failure of one host; anything else ends the whole run.
    def executed(self: SSHClient, command: str, *args: Any, **known: Any) -> Any:
        try:
            stdin, stdout, _ = exec_command(self, send(command), *args, **known)
            channel = stdout.channel
            streams = channel.makefile("rb"), channel.makefile_stderr("rb")
            return stdin, *(_Lines(stream, decode) for stream in streams)
        except (OSError, SSHException):
            raise
        except Exception as error:
            raise SSHException(f"{type(error).__name__}: {error}") from error

    executed.bramble = True  # type: ignore[attr-defined]
    util.make_unix_command = made  # type: ignore[assignment]
    SSHClient.exec_command = executed  # type: ignore[assignment, method-assign]


class _Lines:
    """What pyinfra reads of a stream."""

    def __init__(self, stream: ChannelFile, decode: Callable[[bytes], str]) -> None:
        self.channel = stream.channel
        self._stream = stream
        self._decode = decode

    def __iter__(self) -> Iterator[str]:
        return map(self._decode, self._stream)


# --- the run --------------------------------------------------------------------------------------


def color_diff(before: str | None, after: str | None) -> list[str]:
    """
    The lines of a coloured diff, as ``--diff`` shows it for pyinfra's own operations.

    Missing upstream: a function for it outside of ``pyinfra.operations.util``.
    """
    texts = [[] if text is None else text.splitlines(keepends=True) for text in (before, after)]
    return [line.rstrip() for line in generate_color_diff(*texts)]


def current_operation(host: Host) -> str:
    """The hash of the operation that is prepared or executed on a host; "" outside of one."""
    return host.current_op_hash or ""


def operation_names(state: State, operation: str) -> set[str]:
    """The names of an operation, without the file names that pyinfra puts before them."""
    return {name.split(" | ")[-1] for name in state.get_op_meta(operation).names}


def operation_on(state: State, host: Host, operation: str) -> OperationMeta | None:
    """How an operation went on a host; None when it is not for that host."""
    if operation not in state.ops[host]:
        return None
    return state.get_op_data_for_host(host, operation).operation_meta


@dataclass(frozen=True)
class Queued:
    """An operation that was called for a host: its generator function, and what it was given."""

    function: Callable[..., Iterator[object]]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    global_arguments: dict[str, Any]


def queued(state: State, host: Host) -> list[Queued]:
    """
    The operations that are queued for a host, in their order.

    Missing upstream: an operation's arguments are in the closure of its command generator only.
    """
    found = []
    for op_hash in host.op_hash_order:
        if op_hash in state.ops[host]:
            data = state.ops[host][op_hash]
            generator: Any = data.command_generator
            cells = (cell.cell_contents for cell in generator.__closure__)
            held = dict(zip(generator.__code__.co_freevars, cells, strict=True))
            given: Any = data.global_arguments
            found.append(Queued(held["func"], held["args"], held["kwargs"], given))
    return found


def arguments_by_root(
    host: Host,
    fact: type[FactBase[Any]],
    given: Mapping[str, Any],
    inherited: Mapping[str, Any] | None,
) -> dict[str, Any] | None:
    """
    The arguments of a fact's command, by name; None where it is not simply read by root.

    + given: in the call, pyinfra's global arguments among them
    + inherited: global arguments of the operation that reads it; None: of the present one

    Missing upstream: a function that says how a fact would be read.
    """
    if inherited is None:
        inherited = cast("dict[str, Any] | None", host.current_op_global_arguments) or {}
    globals_ = {name: value for name, value in given.items() if name.startswith("_")}
    resolved: Any = {**inherited, **globals_}
    plain = _plain_arguments()
    if not inherited.keys() >= plain.keys():  # an operation's are complete
        resolved = pop_global_arguments(host.state, host, resolved)[0]
    if any(resolved.get(key) != value for key, value in plain.items()):
        return None
    own = {name: value for name, value in given.items() if name not in globals_}
    _, *parameters = signature(fact.command).parameters.values()
    named = [each for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    return {each.name: own.get(each.name, each.default) for each in named}


@cache
def _plain_arguments() -> dict[str, Any]:
    """The global arguments with which a command is simply run by root."""
    config = Config()
    plain = {key: all_argument_meta[key].default(config) for key in CONNECTOR_ARGUMENT_KEYS}
    return plain | {"_sudo": True}


def before_commands(call: Callable[[State], object]) -> None:
    """
    Call this before each command that any operation, pyinfra's own too, executes; a second call is
    ignored. A function with an attribute ``changes_nothing`` is no such command.

    Missing upstream: a callback for it.
    """

    def watched(execute: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(execute)
        def executed(self: PyinfraCommand, state: State, *args: Any, **known: Any) -> Any:
            if not hasattr(getattr(self, "function", None), "changes_nothing"):
                call(state)
            return execute(self, state, *args, **known)

        executed.bramble = True  # type: ignore[attr-defined]
        return executed

    for kind in PyinfraCommand.__subclasses__():
        if "execute" in vars(kind) and not hasattr(kind.execute, "bramble"):
            kind.execute = watched(kind.execute)  # type: ignore[method-assign]


@dataclass(frozen=True)
class _Place:
    """Where a frame is: those fields of ``inspect``'s that pyinfra reads."""

    filename: str
    lineno: int


def spare_lookups() -> None:
    """
    Let pyinfra find the lines that call an operation, and global arguments, cheaply.

    Upstream: for each call ``inspect`` looks for the text of all lines on the stack, which nobody
    reads, through all modules; the names of the arguments are evaluated again for each operation
    and fact, and each is looked for in the host's data by as many exceptions as there are sources
    of it. That takes as long as all else of a run that changes nothing.
    """

    def stack() -> list[tuple[FrameType]]:
        frames = []
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            frames.append((frame,))
            frame = frame.f_back
        return frames

    def place(frame: FrameType) -> _Place:
        return _Place(frame.f_code.co_filename, frame.f_lineno)

    def look_up(data: HostData, key: str) -> Any:
        is_argument = key.startswith("_")
        if is_argument and not any(key in (at() if callable(at) else at) for at in data.datas):
            raise AttributeError(key)
        return found(data, key)

    api_util.stack = stack  # type: ignore[assignment]
    api_util.getframeinfo = place  # type: ignore[assignment]
    if not hasattr(arguments_module.all_global_arguments, "cache_info"):
        names = cache(arguments_module.all_global_arguments)
        arguments_module.all_global_arguments = facts_module.all_global_arguments = names
        found = HostData.__getattr__
        HostData.__getattr__ = look_up  # type: ignore[method-assign]


def check_after_loading(report: Callable[[Host, Exception], object]) -> None:
    """
    Find out what operations would change when all of them are queued, in the order of a run.

    pyinfra does so at each operation's call, while the operations that follow are not known and the
    other hosts are anywhere in the file.

    + report: called with the host and the exception of an operation of pyinfra's own

    Missing upstream: loading and checking are one.
    """
    from pyinfra_cli import cli

    handle_commands = cli._handle_commands

    def handled(state: State, *args: Any, **known: Any) -> Any:
        check, state.check_for_changes = state.check_for_changes, False
        try:
            result = handle_commands(state, *args, **known)
        finally:
            state.check_for_changes = check
        end = None
        for op_hash in state.get_op_order() if check else []:
            metas = {host: operation_on(state, host, op_hash) for host in state.inventory}
            checks = [
                state.pool.spawn(_check, state, host, meta, report)
                for host, meta in metas.items()
                if meta is not None
            ]
            for each in checks:
                end = each.get() or end
        if end:
            raise end
        return result

    cli._handle_commands = handled


def _check(
    state: State, host: Host, meta: OperationMeta, report: Callable[[Host, Exception], object]
) -> PyinfraError | None:
    """Find out what one would change; return what ends the run, once its last host has failed."""
    end = None
    with ctx_config.use(state.config.copy()), ctx_host.use(host):
        if host in state.active_hosts:
            try:
                _alone(lambda: meta.will_change, report)
            except PyinfraError as error:
                end = error
        if host not in state.active_hosts:
            meta._maybe_is_change = False
    return end


def _alone(action: Callable[[], object], report: Callable[[Host, Exception], object]) -> None:
    """Do something for the present host, which alone fails if it raises."""
    try:
        action()
    except Exception as error:
        host: Host = ctx_host.get()
        if isinstance(error, PyinfraError) and host in host.state.failed_hosts:
            raise  # no other host is left
        while hasattr(error, "exception"):  # pyinfra_cli's wrapper: one for each nested file
            error = error.exception
        report(host, error)
        host.state.fail_hosts({host})


def fail_hosts_alone(report: Callable[[Host, Exception], object]) -> None:
    """
    Let an exception of a deploy file fail the host that it was loaded for, not the whole run.

    + report: called with the host and the exception

    Missing upstream: any exception while a deploy file is loaded ends the run of all hosts.
    """
    from pyinfra_cli import util as cli_util

    load_hosts = cli_util._parallel_load_hosts

    def load(state: State, callback: Callable[[], Any], name: str) -> None:
        load_hosts(state, lambda: _alone(callback, report), name)

    cli_util._parallel_load_hosts = load


def decline_without_terminal(declined: str) -> None:
    """
    Answer pyinfra's questions when stdin is no terminal, where it would end in a traceback.

    "A host failed, continue?" is answered with yes. A question whether to change anything, and an
    answer that is not yes, end the program with status 1 (pyinfra: 0).

    + declined: the message then

    Missing upstream: an option for either question.
    """
    from pyinfra_cli import cli

    confirm = cli._do_confirm

    def ask(message: str) -> bool:
        if not sys.stdin.isatty() and "failed" in message:
            return True
        if sys.stdin.isatty() and confirm(message):
            return True
        raise SystemExit(declined)

    cli._do_confirm = ask


def quiet_lost_facts() -> None:
    """
    Let a fact whose connection was lost print nothing: who reads it says so.

    Upstream: prints what has come of its output, and its arguments.
    """

    def unless_lost(show: Callable[..., None]) -> Callable[..., None]:
        @wraps(show)
        def guarded(host: Host, *args: Any, **kwargs: Any) -> None:
            known = transport(host)
            if known is None or known.is_active():
                show(host, *args, **kwargs)

        return guarded

    for name in ("print_host_combined_output", "log_error_or_warning", "log_host_command_error"):
        setattr(facts_module, name, unless_lost(getattr(facts_module, name)))


def skip_disconnect() -> None:
    """
    Let pyinfra exit without closing its connections.

    Missing upstream: after Ctrl-C pyinfra disconnects through a pool that is full of commands.
    """
    from pyinfra_cli import cli

    cli.disconnect_all = lambda state: None


def repair_host_key_messages(known_hosts: str) -> None:
    """
    Let a changed host key be reported as such, with the file that the old one is in.

    Upstream: the remedy names no file, and a changed key of a ProxyJump node ends in an
    AttributeError because ``_ssh_config`` is set too late.
    """
    SSHClient._ssh_config = {}

    def name_file(record: logging.LogRecord) -> bool:
        if "ssh-keygen -R " in str(record.msg):
            record.msg += f" -f {known_hosts}"
        return True

    logger.addFilter(name_file)
    # paramiko's own lines about a lost channel; operations report it themselves.
    logging.getLogger("paramiko.transport").setLevel(logging.CRITICAL)


# --- the log lines --------------------------------------------------------------------------------


class Line(Enum):
    """What a line of pyinfra's log is about."""

    PREPARING = auto()  # the deploy files are loaded next
    PLAN = auto()  # a table follows: what will change
    NO_PLAN = auto()  # with -y: nothing is known before it is executed
    RESULTS = auto()  # a table follows: what has changed
    BOOKKEEPING = auto()  # a step begins, a file is loaded, the connections are closed
    HEADING = auto()
    RESULT = auto()  # how a step ended on a host, unless it failed
    FAILED = auto()  # a step failed on a host
    HOST = auto()  # anything else about a host
    OTHER = auto()


_HOST = r"\s*\[(?P<host>[^\]]+)\]\s+"
_LINES = {
    Line.PREPARING: r"--> Preparing operation files",
    Line.PLAN: r"--> Detected changes:",
    Line.NO_PLAN: r"--> Skipping change detection",
    Line.RESULTS: r"--> Results:",
    Line.BOOKKEEPING: rf"--> (Starting (.* )?operation:|Disconnecting)|Loading: |{_HOST}Ready: ",
    Line.HEADING: r"-->",
    Line.RESULT: rf"{_HOST}(Success|No changes|Skipped)\s*$",
    Line.FAILED: rf"{_HOST}Error: executed \d+ commands",
    Line.HOST: _HOST,
}


def parse_line(text: str) -> tuple[Line, str]:
    """
    What a line of the log is about, and the host that it names ("" when none).

    Missing upstream: callbacks for the phases of a run, and a switch for each kind of line.
    """
    for line, pattern in _LINES.items():
        match = re.match(pattern, text.lstrip("\n"))
        if match:
            return line, match.groupdict().get("host") or ""
    return Line.OTHER, ""
