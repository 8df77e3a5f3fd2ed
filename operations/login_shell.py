"""
Commands that mean the same whatever the user's login shell and the node's language are.

sshd hands a command to the login shell of who logs in. fish reads a backslash between single
quotes in its own way, tcsh an exclamation mark and a line feed; any of them may greet, in any
encoding. So the login shell is only asked to start ``sh`` with words that all shells read alike,
and what a node prints is decoded whatever it is. All of pyinfra's commands come through here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from paramiko import ChannelFile, SSHException
from pyinfra.api import StringCommand
from pyinfra.connectors import util
from pyinfra.connectors.sshuserclient import SSHClient

from facts.base import LOCALE

# The lines of the command come as arguments; printf is a part of the shell.
_JOIN = 'eval "$(printf "%s\\n" "$@")"'
_done = False


def portable(command: str) -> str:
    """
    A command line for sh, as one that bash, dash, fish, ksh, tcsh and zsh read alike.

    + command: any number of lines
    """
    words = [_word(_JOIN), "sh", *map(_word, command.split("\n"))]
    return f"sh -c {' '.join(words)}"


def _word(text: str) -> str:
    """Quoted so that nothing stands between quotes that any shell reads in its own way."""
    parts = (part for part in re.split(r"([\\'!])", text) if part)
    return "".join(f"\\{part}" if part in "\\'!" else f"'{part}'" for part in parts) or "''"


def decoded(line: bytes) -> str:
    """A line that a node printed; what is not UTF-8 is shown as ``\\xff``."""
    return line.decode("utf-8", "backslashreplace")


class _Lines:
    """What pyinfra reads of a stream: paramiko's own ends at the first byte that is not UTF-8."""

    def __init__(self, stream: ChannelFile) -> None:
        self.channel = stream.channel
        self._stream = stream

    def __iter__(self) -> Iterator[str]:
        for line in self._stream:
            yield decoded(line)


def announce() -> None:
    """Once, from pyinfra's configuration: before the first connection."""
    global _done
    if _done:
        return
    _done = True
    make, send = util.make_unix_command, SSHClient.exec_command

    # Inside of sudo, whose PAM modules may set a locale of their own.
    def make_unix_command(command: StringCommand, **arguments: Any) -> StringCommand:
        return make(StringCommand(f"export {LOCALE};", command), **arguments)

    # pyinfra takes an SSHException for the failure of one host; anything else ends the whole run.
    def exec_command(self: SSHClient, command: str, *args: Any, **kwargs: Any) -> Any:
        try:
            stdin, stdout, _ = send(self, portable(command), *args, **kwargs)
            channel = stdout.channel
            # Binary: then it is for us to decode.
            return (
                stdin,
                _Lines(channel.makefile("rb")),
                _Lines(channel.makefile_stderr("rb")),
            )
        except (OSError, SSHException):
            raise
        except Exception as error:
            raise SSHException(f"{type(error).__name__}: {error}") from error

    util.make_unix_command = make_unix_command  # type: ignore[assignment]
    SSHClient.exec_command = exec_command  # type: ignore[assignment, method-assign]
