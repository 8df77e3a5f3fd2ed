"""Kernel parameters, live and at boot."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import StringCommand

from facts.base import IncompleteAnswer, State, UnexpectedLine, WholeFact, ask, text_of
from facts.files import READ_FILES, FileState, parse_files
from formats.sysctl import DIRECTORIES, path_of, plain

# Prints "=" and the value (it may be empty) per key; the path and the content per file.
_SCRIPT = (
    """p=$1; for k in $2; do if [ -e "/proc/sys/$k" ]; then
printf '='; tr '\\n' ' ' < "/proc/sys/$k"; echo; else echo absent; fi; done;
for d in """
    + " ".join(DIRECTORIES)
    + """; do for f in "$d"/*.conf; do if [ -e "$f" ]; then
echo "$f"; base64 -w0 < "$f"; echo; fi; done; done; echo files; set -- "$p";
"""
    + READ_FILES
)


@dataclass(frozen=True)
class SysctlState(State):
    """
    + live: present value by key; None: the kernel has no such key (its module is not loaded)
    + files: content by path, of all sysctl.d files
    + file: the one at ``path``
    """

    live: dict[str, str | None]
    files: dict[str, str]
    file: FileState


class Sysctl(WholeFact[SysctlState]):
    """
    Read some kernel parameters, live and at boot.

    + keys: such as ``net.ipv4.ip_forward``
    + path: a file of sysctl.d
    """

    def command(self, keys: list[str], path: str) -> StringCommand:
        self.keys, self.path = list(keys), path
        return ask(_SCRIPT, path, " ".join(path_of(key) for key in self.keys))

    def parse(self, *lines: str) -> SysctlState:
        count = len(self.keys)
        middle = count
        while middle < len(lines) and lines[middle] != "files":
            if not lines[middle].startswith("/"):
                raise UnexpectedLine(lines[middle])
            middle += 2
        if middle >= len(lines):
            raise IncompleteAnswer
        values, files = lines[:count], lines[count:middle]
        return SysctlState(
            live={
                key: None if value == "absent" else plain(_value(value))
                for key, value in zip(self.keys, values, strict=True)
            },
            files={path: text_of(text) for path, text in zip(files[::2], files[1::2], strict=True)},
            file=parse_files(lines[middle + 1 :], [self.path])[self.path],
        )


def _value(line: str) -> str:
    if not line.startswith("="):
        raise UnexpectedLine(line)
    return line[1:]
