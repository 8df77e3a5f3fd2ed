"""Files: kind, mode, owner and content, in one remote execution."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pyinfra.api import StringCommand

from facts.base import IncompleteAnswer, State, UnexpectedLine, WholeFact, ask, one_of, text_of

Kind = Literal["absent", "file", "link", "directory", "other"]
KINDS: dict[str, Kind] = {
    "regular file": "file",
    "regular empty file": "file",
    "symbolic link": "link",
    "directory": "directory",
}

# Also part of other facts' scripts, to read files in the same execution: see ``parse_files``.
# Prints per path: kind, mode, user, group; whether it is a mount point; its link target or content,
# in base64, since pyinfra cuts output at the first byte that is not UTF-8. One stat is for all
# paths, and mountpoint for those with the name of a mount point only: processes are slow to start.
# These names are in ``mounts``, which is exported where several facts are read.
MOUNTS = """mounts=$(awk '{sub(/.*\\//, "", $5); printf "%s/", $5}' /proc/self/mountinfo)"""
READ_FILES = (
    """[ -n "$mounts" ] || """
    + MOUNTS
    + """;
stat -c '%F|%a|%U|%G|%n' -- "$@" 2>/dev/null | { IFS= read -r s; for p in "$@"; do
case $s in *"|$p") echo "${s%"|$p"}"; IFS= read -r s || s=;
case "/$mounts" in *"/${p##*/}/"*) mountpoint -q "$p" && echo mounted || echo plain;;
*) echo plain;; esac;
if [ -L "$p" ]; then readlink "$p" | base64 -w0; elif [ -f "$p" ]; then base64 -w0 < "$p"; fi;
echo;;
*) echo absent; echo; echo;; esac;
done; }"""
)


@dataclass(frozen=True)
class FileState(State):
    """
    The state of a path.

    + mode: octal without a leading zero ("644")
    + text: content of a regular file, target of a link, else None
    + mounted: whether it is a mount point, over which nothing can be renamed
    """

    kind: Kind
    mode: str = ""
    user: str = ""
    group: str = ""
    text: str | None = None
    mounted: bool = False


class Files(WholeFact[dict[str, FileState]]):
    """
    Read some paths as ``{path: FileState}``; ``None`` when they could not be read.

    + paths: absolute paths

    Bytes that are not UTF-8 become surrogate escapes.
    """

    secret = True

    def command(self, paths: list[str]) -> StringCommand:
        self.paths = list(paths)
        return ask(READ_FILES, *self.paths)

    def parse(self, *lines: str) -> dict[str, FileState]:
        return parse_files(lines, self.paths)


def parse_files(lines: Sequence[str], paths: Sequence[str]) -> dict[str, FileState]:
    """
    Parse the output of ``READ_FILES``; ``IncompleteAnswer`` if lines are missing.

    + lines: its output
    + paths: its arguments
    """
    found = {}
    for at, path in enumerate(paths):
        three = lines[at * 3 : at * 3 + 3]
        if len(three) < 3:
            raise IncompleteAnswer
        found[path] = _parse(*three)
    if len(lines) > 3 * len(paths):
        raise UnexpectedLine(lines[3 * len(paths)])
    return found


def _parse(status: str, mount: str, content: str) -> FileState:
    if status == "absent":
        return FileState("absent")
    known = re.fullmatch(r"([a-z -]+)\|([0-7]{1,4})\|([^|\s]+)\|([^|\s]+)", status)
    if known is None:
        raise UnexpectedLine(status)
    kind_name, mode, user, group = known.groups()
    kind = KINDS.get(kind_name, "other")
    text = None
    if kind in ("file", "link"):
        text = text_of(content)
        text = text.rstrip("\n") if kind == "link" else text
    return FileState(kind, mode, user, group, text, one_of(mount, "mounted", "plain") == "mounted")
