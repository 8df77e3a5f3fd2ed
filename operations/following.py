"""
Long commands on a node, followed while they run: what they print, and what they are fed.

pyinfra's own way of running a command gives its output at the end and takes no bytes on standard
input; a person who waits minutes for apt wants to see it move, and an image archive is not text.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from paramiko import SSHException
from pyinfra import logger
from pyinfra.api import StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.connectors.util import make_unix_command_for_host

from facts.base import BEGIN, END
from operations import login_shell, remote_shell

DETAIL = "bramble_detail"  # of a log record: for the log file
PROGRESS_S = 5  # at most one line of progress a node in so many seconds


@dataclass(frozen=True)
class Result:
    """How a command ended: its status (-1: connection lost, or it was killed), and its lines."""

    status: int
    lines: list[str]

    @property
    def last_line(self) -> str:
        """What it said last, for a person."""
        said = [line.strip() for line in self.lines if line.strip()]
        return said[-1] if said else f"exit status {self.status}"


def run(
    state: State,
    host: Host,
    command: StringCommand,
    on_line: Callable[[str], None] | None = None,
    chunks: Iterable[bytes] = (),
) -> Result:
    """
    Run a command as root, for use inside a ``FunctionCommand``.

    + command: the command; what it prints on both streams is taken together
    + on_line: called with each line as it comes
    + chunks: its standard input
    """
    framed = remote_shell.framed(command, both=False)
    unix = make_unix_command_for_host(state, host, framed, _sudo=True)
    if state.print_input:
        host.log(f">>> {unix}")
    lines: list[str] = []
    try:
        channel = host.connector.client.get_transport().open_session()  # type: ignore[attr-defined]
        channel.set_combine_stderr(True)
        channel.exec_command(login_shell.portable(unix.get_raw_value()))
        try:
            for chunk in chunks:
                channel.sendall(chunk)
        except OSError:
            pass  # it has ended without reading all; its own words say why
        channel.shutdown_write()
        for line in _within(login_shell.decoded(raw) for raw in channel.makefile("rb")):
            lines.append(line)
            if state.print_output:
                host.log(line)
            if on_line is not None:
                on_line(line)
        status = channel.recv_exit_status()
        if status == -1:
            lost = not channel.get_transport().is_active()
            lines.append("the connection was lost" if lost else "it was killed")
        return Result(status, lines)
    except (OSError, EOFError, SSHException) as error:
        return Result(-1, [*lines, f"the connection was lost ({error or 'closed'})"])


def _within(said: Iterable[str]) -> Iterator[str]:
    """Its own lines, as they come; those of the login shell where it did not get to the command."""
    before: list[str] = []
    begun = ended = blank = False
    for line in (each.rstrip("\r\n") for each in said):
        if not begun:
            begun = line == BEGIN
            before.append(line)
            continue
        ended = ended or line == END
        if not ended:
            if blank:
                yield ""
            blank = not line  # the one before the end is the marker's
            if line:
                yield line
    if not begun:
        yield from before


def failed(host: Host, message: str) -> Literal[False]:
    """Say in one line why this host fails; to be returned from a ``FunctionCommand``."""
    host.log_styled(message, fg="red", log_func=logger.error)
    return False


def detail(host: Host, line: str) -> None:
    """Log a line that the screen shows with ``-v`` alone: see ``report.screen``."""
    host.log(line, log_func=partial(logger.info, extra={DETAIL: True}))


class Progress:
    """
    A line of progress now and then, so that a long step does not look like one that hangs.

    + host: where it runs
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._next = time.monotonic() + PROGRESS_S
        self._last = ""

    def show(self, message: str) -> None:
        """Show it, unless the last one was shown just now, or said the same."""
        if time.monotonic() >= self._next and message != self._last:
            self._next = time.monotonic() + PROGRESS_S
            self._last = message
            self._host.log(message)
