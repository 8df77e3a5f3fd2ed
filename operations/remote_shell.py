"""
Commands that an operation runs by itself on a node, rather than yielding them to pyinfra.

For what a yielded command can't do: its answer is used, its output holds a secret, or it is run on
another host. What they print is shown by nobody but the caller.
"""

from __future__ import annotations

from paramiko import SSHException
from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host
from pyinfra.connectors.util import CommandOutput

from operations import connection


class RemoteFailure(Exception):
    """A command failed on a node, or the node went away; the message is for the person."""


class Unreachable(RemoteFailure):
    """The node did not answer: whether the command was run is not known."""


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
    return execute(host, command, seconds).stdout_lines


def execute(host: Host, command: StringCommand, seconds: int = 60) -> CommandOutput:
    """The same for a command that is made already, such as ``files.write_command``'s."""
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
    if not ok:
        client = getattr(host.connector, "client", None)
        transport = client.get_transport() if client else None
        if client and not (transport and transport.is_active()):
            raise Unreachable(f"the connection to {host.name} was lost")
        said = [line for line in output.stderr_lines if line.strip()]
        raise RemoteFailure(said[-1].strip() if said else "a command failed and said nothing")
    return output
