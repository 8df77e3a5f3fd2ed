"""
Private and fragile API of pyinfra and paramiko is as this project takes it to be.

Each of these fails when a new version changes what ``remote.pyinfra_internals`` rests on; the last
ones keep the rest of the project away from it.
"""

from __future__ import annotations

import inspect
import io
import logging
import re
import socket
import subprocess
import sys
import threading
import tokenize
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import paramiko
import pyinfra
import pytest
from paramiko.common import AUTH_SUCCESSFUL, OPEN_SUCCEEDED
from pyinfra.api import (
    Config,
    FactBase,
    FunctionCommand,
    Host,
    Inventory,
    State,
    StringCommand,
    arguments,
    facts,
    operation,
)
from pyinfra.api import util as api_util
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import HostData
from pyinfra.api.operations import run_host_op
from pyinfra.connectors import ssh, util
from pyinfra.connectors.sshuserclient import SSHClient
from pyinfra.connectors.sshuserclient.client import get_ssh_config
from pyinfra.context import ctx_config, ctx_host, ctx_state
from typing_extensions import override

from facts.boot import BootId
from remote import pyinfra_internals, shell
from remote.pyinfra_internals import Line, parse_line

REPOSITORY = Path(__file__).parents[2]
SSH_CONFIG = """
Host node1
    HostName 192.168.2.11
    User pi
Host node2
    HostName 192.168.2.12
    ProxyJump node1
"""


def made_state(**data: Any) -> State:
    return State(Inventory((["node1", "node2"], data)), Config())


@pytest.fixture
def state() -> State:
    return made_state()


def test_pyinfra_is_the_release_that_was_tried() -> None:
    assert re.match(r"3\.10(\.|$)", pyinfra.__version__)
    assert 'REQUIRE_PYINFRA_VERSION = "~=3.10.0"' in (REPOSITORY / "config.py").read_text()
    assert '"pyinfra~=3.10.0"' in (REPOSITORY / "pyproject.toml").read_text()


# --- the connection -------------------------------------------------------------------------------


class Server(paramiko.ServerInterface):
    """Lets anybody in by key."""

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return AUTH_SUCCESSFUL

    def check_auth_password(self, username: str, password: str) -> int:
        return AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED


def logged_in(host: Any, **login: Any) -> paramiko.Transport:
    """A real connection of paramiko, to itself, as the one of a host."""
    here, there = socket.socketpair()
    server = paramiko.Transport(there)
    server.add_server_key(paramiko.ECDSAKey.generate())
    server.start_server(server=Server(), event=threading.Event())
    client = paramiko.Transport(here)
    client.connect(username="pi", **login)
    host.connector.client = SimpleNamespace(get_transport=lambda: client)
    return client


def test_the_key_that_logged_in_and_the_host_key_are_found(state: State) -> None:
    host = state.inventory.get_host("node1")
    key = paramiko.ECDSAKey.generate()
    transport = logged_in(host, pkey=key)
    assert pyinfra_internals.login_key(host) == ("pi", key)
    assert not pyinfra_internals.opened_by_password(host)
    assert pyinfra_internals.host_key(host) is not None
    assert pyinfra_internals.hop(transport) is None
    pyinfra_internals.limit_channels(transport, 0.01)
    assert "channel_timeout" in inspect.getsource(paramiko.Transport.open_channel)
    transport.close()
    assert pyinfra_internals.host_key(host) is None


def test_a_password_is_no_key(state: State) -> None:
    host = state.inventory.get_host("node1")
    transport = logged_in(host, password="secret")
    assert pyinfra_internals.opened_by_password(host)
    assert pyinfra_internals.login_key(host) is None
    transport.close()


def test_a_host_that_was_never_connected_has_no_transport(state: State) -> None:
    host = state.inventory.get_host("node1")
    assert isinstance(host.connector, ssh.SSHConnector)
    assert pyinfra_internals.client(host) is None
    assert pyinfra_internals.transport(host) is None


def test_a_hop_is_the_channel_that_a_transport_goes_through() -> None:
    assert "sock = c.gateway(" in inspect.getsource(SSHClient.parse_config)
    assert "open_channel" in inspect.getsource(SSHClient.gateway)
    channel = paramiko.Channel(1)
    channel.transport = below = object()  # type: ignore[assignment]
    assert pyinfra_internals.hop(SimpleNamespace(sock=channel)) is below  # type: ignore[arg-type]


def test_a_host_is_followed_to_another_address_and_keeps_its_section(tmp_path: Path) -> None:
    path = tmp_path / "ssh_config"
    path.write_text(SSH_CONFIG)
    state = made_state(ssh_config_file=str(path))
    host = state.inventory.get_host("node1")
    assert pyinfra_internals.address(host) == "192.168.2.11"
    assert pyinfra_internals.ssh_config_file(host) == path
    pyinfra_internals.redirect(host, "192.168.2.99")
    assert pyinfra_internals.address(host) == "192.168.2.99"
    hostname, settings, *_ = SSHClient().parse_config("node1", ssh_config_file=str(path))
    assert (hostname, settings["username"]) == ("192.168.2.99", "pi")
    # As the hop to others: the same object, read once, looks it up.
    assert get_ssh_config(str(path)) is get_ssh_config(str(path))
    assert "ssh_config.lookup(" in inspect.getsource(SSHClient.derive_shorthand)


def test_a_host_without_ssh_config_is_followed_too(tmp_path: Path) -> None:
    state = made_state(ssh_config_file=str(tmp_path / "none"))
    host = state.inventory.get_host("node2")
    pyinfra_internals.redirect(host, "192.168.2.98")
    assert pyinfra_internals.address(host) == "192.168.2.98"
    assert host.connector.make_paramiko_kwargs()["hostname"] == "192.168.2.98"  # type: ignore[attr-defined]


# --- commands -------------------------------------------------------------------------------------


def test_a_command_keeps_its_arguments_and_is_run_by_root(state: State) -> None:
    command = StringCommand("cat", _stdin="secret")
    assert pyinfra_internals.arguments(command) == {"_stdin": "secret"}
    raw = pyinfra_internals.shell_command(state.inventory.get_host("node1"), command)
    assert re.match(r"sudo -H -n sh -c .*cat", raw.get_raw_value())


@pytest.fixture
def unpatched(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Whatever is patched in a test is put back."""
    monkeypatch.setattr(util, "make_unix_command", util.make_unix_command)
    monkeypatch.setattr(SSHClient, "exec_command", SSHClient.exec_command)
    return monkeypatch


def test_pyinfras_commands_and_output_go_through_ours(
    unpatched: pytest.MonkeyPatch, state: State
) -> None:
    sent: list[str] = []
    streams = SimpleNamespace(
        makefile=lambda mode: Stream([b"Gr\xfc\xdfe\n"]), makefile_stderr=lambda mode: Stream([])
    )

    class Stream(list[bytes]):
        channel = streams = SimpleNamespace(recv_exit_status=lambda: 0)

    def exec_command(self: object, command: str, **known: object) -> tuple[Any, Any, Any]:
        sent.append(command)
        stdin = io.BytesIO()
        return stdin, SimpleNamespace(channel=streams), None

    unpatched.setattr(SSHClient, "exec_command", exec_command)
    shell.install()
    host: Any = state.inventory.get_host("node1")
    host.connector.client, host.connected = SSHClient(), True
    ok, output = host.run_shell_command(StringCommand("echo", "ü"), _sudo=True)
    assert (ok, output.stdout_lines) == (True, ["Gr\\xfc\\xdfe"])
    assert "sudo" in sent[0]
    assert "export LC_ALL=C;" in sent[0]
    assert sent[0].startswith("sh -c ")


def test_an_odd_error_of_paramiko_is_the_failure_of_one_host(
    unpatched: pytest.MonkeyPatch,
) -> None:
    def exec_command(*_: object, **__: object) -> None:
        raise RuntimeError("odd")

    unpatched.setattr(SSHClient, "exec_command", exec_command)
    shell.install()
    with pytest.raises(paramiko.SSHException, match="RuntimeError: odd"):
        SSHClient().exec_command("true")


def test_the_environment_of_config_still_does_not_reach_operations() -> None:
    """When this fails, ``config.ENV`` can replace a patch of ``wrap_commands``."""
    assert Config(ENV={"LC_ALL": "C"}).copy().ENV == {}


# --- the operations of a deploy -------------------------------------------------------------------


class Name(FactBase[str]):
    @override
    def command(self, path: str, times: int = 1) -> StringCommand:
        return StringCommand("true")


def test_queued_operations_are_known_with_what_they_were_given(state: State) -> None:
    def generator(word: str, number: int = 0) -> Generator[StringCommand, None, None]:
        yield StringCommand("true")

    called: Any = operation()(generator)
    host = state.inventory.get_host("node1")
    with ctx_state.use(state), ctx_host.use(host):
        called("a", number=1, name="First", _sudo=True)
        called("b", name="Second")
    first, second = pyinfra_internals.queued(state, host)
    assert (first.function, first.args, first.kwargs) == (generator, ("a",), {"number": 1})
    assert (first.global_arguments["_sudo"], second.args) == (True, ("b",))
    assert pyinfra_internals.queued(state, state.inventory.get_host("node2")) == []


@pytest.mark.parametrize(
    ("given", "inherited", "known"),
    [
        ({"path": "/a"}, {}, {"path": "/a", "times": 1}),
        ({"path": "/a", "times": 2, "_sudo": True}, {}, {"path": "/a", "times": 2}),
        ({"path": "/a", "_sudo": False}, {}, None),
        ({"path": "/a"}, {"_sudo": False}, None),
        ({"path": "/a"}, {"_sudo_user": "pi"}, None),
        ({"path": "/a", "_timeout": 5}, {}, None),
        ({"path": "/a"}, {"_env": {"A": "b"}}, None),
        ({"path": "/a"}, {"_serial": True}, {"path": "/a", "times": 1}),
    ],
    ids=str,
)
def test_the_arguments_of_a_fact_that_root_reads(
    given: dict[str, Any], inherited: dict[str, Any], known: dict[str, Any] | None
) -> None:
    state = State(Inventory((["node1"], {})), Config(SUDO=True))
    host = state.inventory.get_host("node1")
    assert pyinfra_internals.arguments_by_root(host, Name, given, inherited) == known
    assert pyinfra_internals.arguments_by_root(host, BootId, {}, {}) == {}
    host.current_op_global_arguments = inherited  # type: ignore[assignment]
    assert pyinfra_internals.arguments_by_root(host, Name, given, None) == known


def test_cheap_lookups_find_the_same(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (api_util, "stack"),
        (api_util, "getframeinfo"),
        (arguments, "all_global_arguments"),
        (facts, "all_global_arguments"),
        (HostData, "__getattr__"),
    ):  # put back after the test
        monkeypatch.setattr(module, name, getattr(module, name))
    found = []
    host = State(Inventory(([("node1", {"color": "red", "_sudo": True})], {}))).inventory.get_host(
        "node1"
    )
    for spare in (False, True):
        if spare:
            pyinfra_internals.spare_lookups()
        found.append(
            [
                api_util.get_operation_order_from_stack(state),
                api_util.get_call_location(frame_offset=0),
                arguments.all_global_arguments(),
                facts.all_global_arguments(),
                [host.data.get(name) for name in ("_sudo", "_su_user", "color", "none")],
            ]
        )
    assert found[0] == found[1]
    order, location, *_ = found[0]
    assert any(order)
    assert "test_pyinfra_internals.py" in location


def test_every_command_of_pyinfra_is_seen_before_it_is_executed(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = PyinfraCommand.__subclasses__()
    assert {each.__name__ for each in kinds} >= {
        "StringCommand",
        "FileUploadCommand",
        "FileDownloadCommand",
        "FunctionCommand",
        "RsyncCommand",
    }
    done: list[str] = []
    for kind in kinds:
        monkeypatch.setattr(kind, "execute", lambda *_: done.append("executed"))
    pyinfra_internals.before_commands(lambda state: done.append("seen"))
    pyinfra_internals.before_commands(lambda state: done.append("twice"))
    for kind in kinds:
        command: Any = kind.__new__(kind)
        command.execute(state, None, None)
    assert done == ["seen", "executed"] * len(kinds)
    done.clear()

    def nothing(state: State, host: Host) -> None:
        pass

    nothing.changes_nothing = True  # type: ignore[attr-defined]
    FunctionCommand(nothing, (), {}).execute(state, None, None)  # type: ignore[arg-type]
    assert done == ["executed"]


def test_a_host_whose_operation_fails_while_it_is_checked_fails_alone(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyinfra_cli import cli

    def generator() -> Generator[StringCommand, None, None]:
        if ctx_host.get().name == "node1":
            raise ValueError("odd")
        yield StringCommand("true")

    def load(state: State, *_: object) -> str:
        called: Any = operation()(generator)
        for each in state.inventory:
            state.activate_host(each)
            with ctx_host.use(each):
                called(name="First")
        return "loaded"

    failed: list[tuple[str, str]] = []
    monkeypatch.setattr(cli, "_handle_commands", load)
    pyinfra_internals.check_after_loading(
        lambda host, error: failed.append((host.name, str(error)))
    )
    with ctx_state.use(state):
        assert cli._handle_commands(state) == "loaded"
    assert failed == [("node1", "odd")]
    assert {each.name for each in state.failed_hosts} == {"node1"}
    (op_hash,) = state.get_op_order()
    metas = [state.ops[each][op_hash].operation_meta for each in state.inventory]
    assert [each._maybe_is_change for each in metas] == [False, True]
    assert state.should_check_for_changes()


def test_the_last_host_that_fails_while_it_is_checked_ends_the_run_without_a_traceback(
    state: State, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What was not checked any more changes nothing, so that the report asks no host for it."""
    from pyinfra_cli import cli

    def generator() -> Generator[StringCommand, None, None]:
        raise ValueError(ctx_host.get().name)
        yield

    def load(state: State, *_: object) -> None:
        called: Any = operation()(generator)
        for each in state.inventory:
            state.activate_host(each)
            with ctx_host.use(each):
                called(name="First")
                called(name="Second")

    failed: list[str] = []
    monkeypatch.setattr(cli, "_handle_commands", load)
    pyinfra_internals.check_after_loading(lambda host, error: failed.append(str(error)))
    with ctx_state.use(state), pytest.raises(PyinfraError, match="No hosts remaining"):
        cli._handle_commands(state)
    assert sorted(failed) == ["node1", "node2"]
    metas = [
        state.ops[each][op_hash].operation_meta
        for each in state.inventory
        for op_hash in state.get_op_order()
    ]
    assert [each._maybe_is_change for each in metas] == [False] * 4
    assert "Traceback" not in capfd.readouterr().err


# --- the run --------------------------------------------------------------------------------------


def test_operations_are_known_by_host_name_and_outcome(state: State) -> None:
    node1, node2 = state.inventory
    meta = SimpleNamespace(names={"deploys/a.py | Hostname"})
    state.op_meta["hash"] = meta  # type: ignore[assignment]
    state.set_op_data_for_host(node1, "hash", SimpleNamespace(operation_meta="ended"))  # type: ignore[arg-type]
    assert pyinfra_internals.operation_names(state, "hash") == {"Hostname"}
    assert pyinfra_internals.operation_on(state, node1, "hash") == "ended"  # type: ignore[comparison-overlap]
    assert pyinfra_internals.operation_on(state, node2, "hash") is None
    assert pyinfra_internals.current_operation(node1) == ""
    node1.current_op_hash = "hash"
    assert pyinfra_internals.current_operation(node1) == "hash"


def test_a_diff_is_pyinfras_own() -> None:
    lines = pyinfra_internals.color_diff("a\nb\n", "a\nc\n")
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line)[:1] for line in lines if line][-3:] == [
        " ",
        "-",
        "+",
    ]
    assert pyinfra_internals.color_diff(None, "") == []


def test_an_exception_of_a_deploy_file_fails_one_host(
    monkeypatch: pytest.MonkeyPatch, state: State, tmp_path: Path
) -> None:
    from pyinfra_cli import util as cli_util

    monkeypatch.setattr(cli_util, "_parallel_load_hosts", cli_util._parallel_load_hosts)
    reported: list[tuple[str, str]] = []
    pyinfra_internals.fail_hosts_alone(lambda host, error: reported.append((host.name, str(error))))
    file = tmp_path / "deploy.py"
    file.write_text("from pyinfra import host\nif host.name == 'node1': raise ValueError('odd')\n")
    for host in state.inventory:
        state.activate_host(host)
    with ctx_config.use(state.config), ctx_state.use(state):
        cli_util.load_deploy_file(state, str(file))
    assert reported == [("node1", "odd")]
    assert {host.name for host in state.failed_hosts} == {"node1"}


def test_the_last_hosts_failure_ends_the_run_as_pyinfra_has_it(
    monkeypatch: pytest.MonkeyPatch, state: State
) -> None:
    from pyinfra_cli import util as cli_util

    monkeypatch.setattr(cli_util, "_parallel_load_hosts", cli_util._parallel_load_hosts)
    pyinfra_internals.fail_hosts_alone(lambda host, error: None)

    def callback() -> None:
        raise ValueError(ctx_host.get().name)

    for host in state.inventory:
        state.activate_host(host)
    with ctx_config.use(state.config), pytest.raises(PyinfraError, match="No hosts remaining"):
        cli_util._parallel_load_hosts(state, callback, "x")


def test_a_question_without_a_terminal_is_declined(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyinfra_cli import cli

    monkeypatch.setattr(cli, "_do_confirm", cli._do_confirm)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    pyinfra_internals.decline_without_terminal("no")
    assert cli._do_confirm("One of more hosts failed, continue?")
    with pytest.raises(SystemExit, match="no"):
        cli._do_confirm("Detected changes displayed above, skip this step with -y")
    source = inspect.getsource(cli)
    assert source.count("_do_confirm(") == 4  # its definition, two failures, and the changes
    assert (
        re.findall(r'_do_confirm\("(One of more hosts failed)', source)
        == ["One of more hosts failed"] * 2
    )


@pytest.mark.parametrize(("active", "printed"), [(True, 3), (False, 0), (None, 3)])
def test_a_fact_whose_connection_was_lost_prints_nothing(
    monkeypatch: pytest.MonkeyPatch, active: bool | None, printed: int
) -> None:
    from pyinfra.api import facts

    shown: list[str] = []
    names = ("print_host_combined_output", "log_error_or_warning", "log_host_command_error")
    for name in names:
        monkeypatch.setattr(facts, name, lambda host, *_, name=name, **__: shown.append(name))
    known = active if active is None else SimpleNamespace(is_active=lambda: active)
    monkeypatch.setattr(pyinfra_internals, "transport", lambda host: known)
    pyinfra_internals.quiet_lost_facts()
    for name in names:
        getattr(facts, name)("host", "its output", description="could not load fact")
    assert len(shown) == printed
    assert all(f"{name}(" in inspect.getsource(facts._get_fact) for name in names)


def test_the_end_does_not_wait_for_the_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyinfra_cli import cli

    monkeypatch.setattr(cli, "disconnect_all", cli.disconnect_all)
    pyinfra_internals.skip_disconnect()
    assert cli.disconnect_all(None) is None
    assert "            disconnect_all(state)" in inspect.getsource(cli)


def test_a_changed_host_key_is_reported_with_its_file(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    filters = list(pyinfra.logger.filters)
    monkeypatch.setattr(pyinfra.logger, "propagate", True)
    monkeypatch.setattr(SSHClient, "_ssh_config", {}, raising=False)
    level = logging.getLogger("paramiko.transport").level
    try:
        pyinfra_internals.repair_host_key_messages("known")
        pyinfra.logger.warning("    ssh-keygen -R 192.168.2.11")
        assert caplog.messages == ["    ssh-keygen -R 192.168.2.11 -f known"]
    finally:
        pyinfra.logger.filters[:] = filters
        logging.getLogger("paramiko.transport").setLevel(level)
    source = inspect.getsource(ssh.SSHConnector)
    assert 'self.client._ssh_config.get("port", 22)' in source
    assert 'logger.warning(f"    ssh-keygen -R {remove_entry}")' in source


# --- the log lines --------------------------------------------------------------------------------

DEPLOY = """
from pyinfra.operations import server
from pyinfra import state
server.shell(name="One", commands=["true"])
server.shell(name="Two", commands=[])
if state.cwd.endswith("failing"):
    server.shell(name="Three", commands=["false"])
"""


def lines_of(folder: Path, *arguments: str) -> list[tuple[Line, str]]:
    """What pyinfra itself prints about a deploy on this computer."""
    folder.mkdir(exist_ok=True)
    (folder / "deploy.py").write_text(DEPLOY)
    command = [sys.executable, "-m", "pyinfra", "@local", "deploy.py", *arguments]
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr)
    return [parse_line(line.strip()) for line in plain.splitlines()]


def test_the_lines_of_a_run_are_what_they_are_taken_for(tmp_path: Path) -> None:
    found = lines_of(tmp_path / "well", "-y")
    assert found.count((Line.PREPARING, "")) == 1
    assert found.count((Line.NO_PLAN, "")) == 1
    assert found.count((Line.RESULTS, "")) == 1
    assert found.count((Line.RESULT, "@local")) == 2
    # Two steps, the file's name, that it is ready, the end.
    assert sum(line is Line.BOOKKEEPING for line, _ in found) == 5
    # Configuration, inventory, connection, execution.
    assert sum(line is Line.HEADING for line, _ in found) == 4
    assert (Line.HOST, "@local") in found  # that it is connected


def test_the_lines_of_a_dry_run_are_what_they_are_taken_for(tmp_path: Path) -> None:
    found = lines_of(tmp_path / "well", "--dry")
    assert found.count((Line.PLAN, "")) == 1
    assert (Line.NO_PLAN, "") not in found


def test_the_line_of_a_failed_step_is_what_it_is_taken_for(tmp_path: Path) -> None:
    found = lines_of(tmp_path / "failing", "-y")
    assert found.count((Line.FAILED, "@local")) == 1


def test_the_line_of_a_step_for_other_hosts_is_what_it_is_taken_for(
    state: State, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyinfra.logger, "propagate", True)
    caplog.set_level(logging.INFO, "pyinfra")
    assert run_host_op(state, state.inventory.get_host("node1"), "hash")
    (line,) = caplog.messages
    assert parse_line(re.sub(r"\x1b\[[0-9;]*m", "", line)) == (Line.RESULT, "node1")


# --- nobody else ----------------------------------------------------------------------------------

ROOMS = ("deploys", "facts", "formats", "messages", "operations", "report", "runs", "workstation")
PRIVATE = {
    "auth_handler",
    "connector",
    "connector_arguments",
    "current_op_hash",
    "disconnect_all",
    "generate_color_diff",
    "get_ssh_config",
    "make_unix_command",
    "make_unix_command_for_host",
    "op_meta",
    "ops",
    "pyinfra_cli",
    "sshuserclient",
}


def names(path: Path) -> set[str]:
    """The names in a file's code, apart from its texts and comments."""
    with path.open("rb") as file:
        return {token.string for token in tokenize.tokenize(file.readline) if token.type == 1}


@pytest.mark.parametrize("room", [*ROOMS, "remote"])
def test_no_other_module_touches_it(room: str) -> None:
    files = [*(REPOSITORY / room).rglob("*.py"), REPOSITORY / "config.py"]
    found = {
        f"{path.relative_to(REPOSITORY)}: {name}"
        for path in files
        if path.name != "pyinfra_internals.py"
        for name in names(path) & PRIVATE
    }
    assert found == set()
