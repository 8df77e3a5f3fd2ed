"""
Command lines that mean the same in every login shell, and the output between two markers.

sshd hands a command to the login shell of the user. fish reads a backslash between single quotes
in its own way, tcsh an exclamation mark and a line feed; any of them may print a greeting, in any
encoding. So the login shell only starts ``sh``, with words that all shells read alike, and the
output of the command stands between markers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pyinfra.api import StringCommand

from facts.base import BEGIN, END, LOCALE, answer
from remote import pyinfra_internals

# The lines of the command are the arguments; printf is a builtin.
_JOIN = 'eval "$(printf "%s\\n" "$@")"'
# What a command prints last need not end in a line feed.
_MARK = "mark() { printf '\\n%s\\n' \"$1\"; };"
_MARK_BOTH = "mark() { printf '\\n%s\\n' \"$1\"; printf '\\n%s\\n' \"$1\" >&2; };"


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


def install() -> None:
    """Send all of pyinfra's commands like this; called once, before the first connection."""
    # Inside of sudo, whose PAM modules may set another locale.
    pyinfra_internals.wrap_commands(
        lambda command: StringCommand(f"export {LOCALE};", command), portable, decoded
    )


def framed(command: StringCommand, both: bool = True) -> StringCommand:
    """
    The command with a marker before its output and one after it; its exit status is kept.

    + both: mark standard error as well; else it goes where standard output goes: sshd reads the two
      independently, and the last line of an error may come after the marker
    """
    return StringCommand(
        f"{_MARK_BOTH if both else _MARK} mark '{BEGIN}'; (",
        command,
        f"\n){'' if both else ' 2>&1'}; status=$?; mark '{END}'; exit $status",
        **pyinfra_internals.arguments(command),
    )


def within(lines: list[str]) -> list[str]:
    """The lines that a framed command printed. ``IncompleteAnswer`` when some are missing."""
    between = answer(lines)
    return between[:-1] if between[-1:] == [""] else between


def stream_within(said: Iterable[str]) -> Iterator[str]:
    """
    The same as they come; all lines where the login shell did not start the command.

    What comes after the marker is not waited for: a process that the command has left behind may
    keep its output open for ever.
    """
    before: list[str] = []
    begun = blank = False
    for line in (each.rstrip("\r\n") for each in said):
        if not begun:
            begun = line == BEGIN
            before.append(line)
            continue
        if line == END:
            break
        if blank:
            yield ""
        blank = not line  # the one before the end is the marker's
        if line:
            yield line
    if not begun:
        yield from before
