"""Several facts in one remote execution."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra.api import FactProcessError, QuoteString, StringCommand

from facts.base import LOCALE, UnexpectedAnswer, answer, between_markers, quoted, text_of
from facts.files import MOUNTS

# Runs the shell script on standard input as root. Whether sudo works without a password is one of
# the questions, so that its message is an answer too.
_BY_ROOT = (
    "if said=$(sudo -H -n true 2>&1 </dev/null); then exec sudo -H -n sh; fi;\n"
    + between_markers("""echo "sudo $(printf %s "$said" | tail -n 1 | base64 -w0)\"""")
)
# Each command is a process of its own, so that none can break another; its output goes to a file,
# and `grep` puts the file's name before each line.
_BEFORE = f"""export {LOCALE}; umask 077; {MOUNTS}; export mounts;
d=$(mktemp -d /run/bramble-facts-XXXXXX) || exit;
trap 'rm -rf "$d"' EXIT; trap 'exit 1' HUP INT TERM PIPE; cd "$d" || exit
"""
# What hangs (a program of the node, a file on a dead server) is ended, so that the others are read.
_AFTER = (
    """(trap 'kill "$s"' TERM; sleep "$seconds" & s=$!; wait "$s" && kill "$@") \\
>/dev/null 2>&1 </dev/null &
w=$!; wait "$@"; kill "$w"
"""
    + between_markers("grep -aH '' *")
    + "\n"
)
SECONDS = 60  # for each; those that wait for something have shorter limits of their own


class SudoFailed(FactProcessError):
    """sudo asks for a password; its message."""


def command(commands: Sequence[StringCommand]) -> StringCommand:
    """
    Make one command of several, which run as root at the same time.

    + commands: made by ``facts.base.ask``; they go through standard input, which has no limit for
      their length and is never shown. It is to be run without sudo, which it calls itself
    """
    lines = (
        f'{each.get_raw_value()} >./{number:03} 2>/dev/null </dev/null & set -- "$@" $!'
        for number, each in enumerate(commands)
    )
    script = "\n".join([f"{_BEFORE}seconds={SECONDS}", *lines, _AFTER])
    return StringCommand("sh", "-c", QuoteString(_BY_ROOT), _stdin=script)


def outputs(said: list[str], count: int) -> list[list[str]]:
    """
    Return the output of each command, as ``WholeFact.process`` takes it.

    + said: all lines that the node printed
    + count: of the commands
    + raises ``SudoFailed``; ``IncompleteAnswer``, ``UnexpectedAnswer``: no such answer
    """
    found: list[list[str]] = [[] for _ in range(count)]
    lines = answer(said)
    if lines[:1] and lines[0].startswith("sudo "):
        raise SudoFailed(text_of(lines[0].removeprefix("sudo ")).strip())
    for line in lines:
        name, separator, rest = line.partition(":")
        if not (separator and name.isascii() and name.isdigit() and int(name) < count):
            raise UnexpectedAnswer(f"the answer is not understood: {quoted(line)}")
        found[int(name)].append(rest)
    return found
