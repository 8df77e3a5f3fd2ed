"""
Commands that an operation runs by itself on a node, rather than yielding them to pyinfra.

For what a yielded command can't do: its answer is used, its output holds a secret, or it is run on
another host. What they print is shown by nobody but the caller.
"""

from __future__ import annotations

from typing import Any, TypeVar

from paramiko import SSHException
from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host

from facts.base import BEGIN, END, CutShort, WholeFact, answer
from operations import connection
from operations.failures import RemoteFailure, Unreachable

__all__ = ["RemoteFailure", "Unreachable", "execute", "framed", "gather", "run"]

T = TypeVar("T")

# What a command prints last need not end in a line feed.
_MARK = "mark() { printf '\\n%s\\n' \"$1\"; };"
_MARK_BOTH = "mark() { printf '\\n%s\\n' \"$1\"; printf '\\n%s\\n' \"$1\" >&2; };"


def run(
    host: Host,
    script: str,
    *arguments: str,
    stdin: str | None = None,
    seconds: int = 60,
) -> list[str]:
    """
    Run a shell script on a node, as root, and return the lines of its standard output.

    + script: for ``sh -c``; it is printed with ``-vv``, as every command: no secret stands in it
    + arguments: its ``$1`` …
    + stdin: goes by standard input and is shown nowhere; the place for a secret
    + seconds: after which it is given up

    Raises ``RemoteFailure`` with the last line of standard error.
    """

    words = [QuoteString(argument) for argument in arguments]
    command = StringCommand("sh", "-c", QuoteString(script), "sh", *words)
    if stdin is not None:
        command.connector_arguments["_stdin"] = stdin
    return execute(host, command, seconds)


def gather(host: Host, fact: WholeFact[T], *arguments: Any) -> T:
    """
    A fact's value, outside of an operation's generator.

    Raises ``RemoteFailure``, and ``FactProcessError`` for an answer that is not understood.
    """
    command = fact.command(*arguments)
    assert isinstance(command, StringCommand)  # of ``ask``
    return fact.process(_said(host, command, 60))


def execute(host: Host, command: StringCommand, seconds: int = 60) -> list[str]:
    """As ``run`` for a command that is made already, such as ``files.write_command``'s."""
    said = _said(host, framed(command), seconds)
    try:
        return within(said)
    except CutShort as error:
        raise RemoteFailure(f"{host.name}: {error}") from None


def framed(command: StringCommand, both: bool = True) -> StringCommand:
    """
    The command with a marker before what it prints, and one behind it, for what a login shell says
    before and after; its exit status is kept.

    + both: on standard error as well; else that goes where standard output goes: sshd reads the two
      by themselves, and a last word of an error may come after the marker behind it
    """
    return StringCommand(
        f"{_MARK_BOTH if both else _MARK} mark '{BEGIN}'; (",
        command,
        f"\n){'' if both else ' 2>&1'}; status=$?; mark '{END}'; exit $status",
        **command.connector_arguments,
    )


def within(lines: list[str]) -> list[str]:
    """The lines that a framed command printed. ``CutShort`` when there are not all of them."""
    between = answer(lines)
    return between[:-1] if between[-1:] == [""] else between


def _said(host: Host, command: StringCommand, seconds: int) -> list[str]:
    """All lines on standard output, those of a login shell too."""
    try:
        if not host.connected:
            host.connect(show_errors=False, raise_exceptions=True)
        connection.keep_alive(host)
        ok, output = host.run_shell_command(
            command,
            print_output=False,
            print_input=host.state.print_input,
            _sudo=True,
            _timeout=seconds,
            **command.connector_arguments,
        )
    except (TimeoutError, OSError, EOFError, SSHException, PyinfraError) as error:
        raise Unreachable(
            f"{host.name} did not answer ({error or type(error).__name__})"
        ) from error
    if ok:
        return output.stdout_lines
    client = getattr(host.connector, "client", None)
    transport = client.get_transport() if client else None
    if client and not (transport and transport.is_active()):
        raise Unreachable(f"the connection to {host.name} was lost")
    try:
        said = within(output.stderr_lines)
    except CutShort:  # it did not come to our command: sudo says why, or the login shell
        said = output.stderr_lines
    said = [line for line in said if line.strip()]
    raise RemoteFailure(said[-1].strip() if said else "a command failed and said nothing")
