"""
Run commands on a node, outside of pyinfra's own steps: ``remote.of(host)`` returns its ``Node``.

pyinfra runs the commands that an operation yields. A ``Node`` is for everything else: an answer is
needed, the output is secret or to be shown as it comes, standard input is binary, another host is
asked, or the command outlives the connection. All commands run as root.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import gevent
from paramiko import SSHException
from pyinfra.api import FactProcessError, QuoteString, StringCommand
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host

from facts.base import BEGIN, IncompleteAnswer, WholeFact
from facts.boot import BootId
from messages import run as messages
from remote import pyinfra_internals, shell
from remote.connection import Connection
from remote.failures import RemoteFailure, Unreachable
from remote.job import Job

T = TypeVar("T")

_ATTRIBUTE = "bramble_node"
_REBOOT_LOOK_S = 2
_PIECE = 1 << 20  # bytes
_DOWNLOAD = f"printf '\\n%s\\n' '{BEGIN}'; stat -Lc %s -- \"$1\" && exec cat -- \"$1\""


@dataclass(frozen=True)
class Result:
    """How a command ended: its exit status (-1: connection lost, or killed), and its lines."""

    status: int
    lines: list[str]

    @property
    def last_line(self) -> str:
        """The last line with something on it."""
        said = [line.strip() for line in self.lines if line.strip()]
        return said[-1] if said else f"exit status {self.status}"


class Node(Connection):
    """One node, for code that runs commands on it without pyinfra's operations."""

    def run(
        self, script: str, *arguments: str, stdin: str | None = None, seconds: int = 60
    ) -> list[str]:
        """
        Run a shell script and return the lines of its standard output.

        + script: for ``sh -c``; it is printed with ``-vv``, so no secret stands in it
        + arguments: its ``$1`` …
        + stdin: its standard input, which is never shown; the place for a secret
        + seconds: after which it is given up
        + raises ``RemoteFailure``: with the last line of standard error
        """
        words = [QuoteString(argument) for argument in arguments]
        given = {} if stdin is None else {"_stdin": stdin}
        command = StringCommand("sh", "-c", QuoteString(script), "sh", *words, **given)  # type: ignore[arg-type]
        return self.execute(command, seconds)

    def execute(self, command: StringCommand, seconds: int = 60) -> list[str]:
        """As ``run``, for a command that is made already, such as ``files.write_command``'s."""
        said = self.output(shell.framed(command), seconds)
        try:
            return shell.within(said)
        except IncompleteAnswer as error:
            raise RemoteFailure(f"{self.host.name}: {error}") from None

    def gather(self, fact: WholeFact[T], *arguments: Any) -> T:
        """
        A fact's value, outside of an operation's generator.

        + raises ``RemoteFailure``; ``FactProcessError``: the answer is not understood
        """
        command = fact.command(*arguments)
        assert isinstance(command, StringCommand)  # of ``ask``
        return fact.process(self.output(command, 60))

    def stream(
        self,
        command: StringCommand,
        on_line: Callable[[str], None] | None = None,
        chunks: Iterable[bytes] = (),
    ) -> Result:
        """
        Run a long command, and pass on its output line by line.

        + command: both of its output streams are taken together
        + on_line: called with each line
        + chunks: its standard input
        """
        state = self.host.state
        unix = pyinfra_internals.shell_command(self.host, shell.framed(command, both=False))
        if state.print_input:
            self.host.log(f">>> {unix}")
        lines: list[str] = []
        try:
            channel = self.open_channel()
            channel.set_combine_stderr(True)
            channel.exec_command(shell.portable(unix.get_raw_value()))
            # It may end without reading all of its input; its own last line says why then.
            with suppress(OSError):
                for chunk in chunks:
                    channel.sendall(chunk)
            channel.shutdown_write()
            for line in shell.stream_within(map(shell.decoded, channel.makefile("rb"))):
                lines.append(line)
                if state.print_output:
                    self.host.log(line)
                if on_line is not None:
                    on_line(line)
            status = channel.recv_exit_status()
            if status == -1:
                lost = not channel.get_transport().is_active()
                lines.append("the connection was lost" if lost else "it was killed")
            return Result(status, lines)
        except (OSError, EOFError, SSHException) as error:
            return Result(-1, [*lines, f"the connection was lost ({str(error) or 'closed'})"])

    def download(self, path: str) -> Iterator[bytes]:
        """
        Return the content of a file in pieces. It is neither shown nor logged.

        + raises ``RemoteFailure``: it can't be read, or the connection is lost
        """
        words = [QuoteString(word) for word in (_DOWNLOAD, "download", path)]
        command = pyinfra_internals.shell_command(self.host, StringCommand("sh", "-c", *words))
        try:
            channel = self.open_channel()
            channel.exec_command(shell.portable(command.get_raw_value()))
            file = channel.makefile("rb")
            while (line := file.readline()).rstrip() != BEGIN.encode():
                if not line:
                    raise RemoteFailure(messages.NOT_DOWNLOADED(path=path, reason="no answer"))
            left = int(file.readline() or -1)
            while left > 0 and (piece := file.read(min(left, _PIECE))):
                left -= len(piece)
                yield piece
        except (OSError, EOFError, SSHException) as error:
            reason = str(error) or "the connection was lost"
            raise RemoteFailure(messages.NOT_DOWNLOADED(path=path, reason=reason)) from error
        if left:
            raise RemoteFailure(messages.NOT_DOWNLOADED(path=path, reason="it is not complete"))

    def job(self, unit: str) -> Job:
        """A command that outlives the connection, in a transient service of that name."""
        return Job(self, unit)

    def reboot(self, seconds: float, show: Callable[[str], object]) -> str | None:
        """
        Reboot and wait until the node is back.

        pyinfra's ``server.reboot`` compares uptimes, which in a container are its host's, and waits
        ten seconds before the first look. Connections that go through this node end with it.

        + seconds: how long to wait
        + show: called with what is waited for
        + returns: None, or why it is not back
        """
        before = self.gather(BootId())
        # Detached, so that the command has ended before the connection does.
        self.run("( sleep 1; systemctl reboot ) </dev/null >/dev/null 2>&1 &")
        end = time.monotonic() + seconds
        while True:
            gevent.sleep(_REBOOT_LOOK_S)
            left = end - time.monotonic()
            # A few seconds at a time, to be able to show that it is still being waited for.
            reason = self.reconnect(seconds=min(_REBOOT_LOOK_S, left))
            if reason is None:
                with suppress(RemoteFailure, FactProcessError):  # it may be going down just now
                    if self.gather(BootId()) != before:
                        return None
            if left < 0:
                return reason or "it has not gone down"
            show(f"waiting for the reboot ({left:.0f} s left)")

    def output(self, command: StringCommand, seconds: int, sudo: bool = True) -> list[str]:
        """
        All lines on standard output, those of a login shell too.

        + seconds: after which it is given up
        + sudo: whether pyinfra puts sudo before it
        + raises ``RemoteFailure``
        """
        host = self.host
        try:
            if not host.connected:
                host.connect(show_errors=False, raise_exceptions=True)
            self.keep_alive()
            ok, output = host.run_shell_command(
                command,
                print_output=False,
                print_input=host.state.print_input,
                _sudo=sudo,
                _timeout=seconds,
                **pyinfra_internals.arguments(command),
            )
        except (TimeoutError, OSError, EOFError, SSHException, PyinfraError) as error:
            raise Unreachable(
                messages.DID_NOT_ANSWER(node=host.name, reason=str(error) or type(error).__name__)
            ) from error
        if ok:
            return output.stdout_lines
        transport = pyinfra_internals.transport(host)
        if self.is_ssh and not (transport and transport.is_active()):
            raise Unreachable(messages.DID_NOT_ANSWER(node=host.name, reason="connection lost"))
        try:
            said = shell.within(output.stderr_lines)
        except IncompleteAnswer:  # the command was not started: sudo or the login shell says why
            said = output.stderr_lines
        said = [line for line in said if line.strip()]
        raise RemoteFailure(said[-1].strip() if said else messages.NO_REASON())


def of(host: Host) -> Node:
    """
    The node behind a host of pyinfra: one object for the whole run.

    + host: the host itself, not ``pyinfra.host``, which is another one in each greenlet
    """
    node = getattr(host, _ATTRIBUTE, None)
    if not isinstance(node, Node):
        node = Node(host)
        put(host, node)
    return node


def put(host: Host, node: Node) -> None:
    """Make ``of`` return this object; for tests."""
    setattr(host, _ATTRIBUTE, node)
