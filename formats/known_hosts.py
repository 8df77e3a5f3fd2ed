"""
OpenSSH's known_hosts file, sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".

Lines that are not understood (comments, hashed names, markers) are kept as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Entry:
    """
    A key and the names under which it is known.

    + names: host names and addresses, "[name]:port" for another port than 22
    + key: "ssh-ed25519 AAAA…", without a comment
    """

    names: tuple[str, ...]
    key: str


@dataclass(frozen=True)
class Other:
    """A line of another kind, kept as it is."""

    text: str


Line = Entry | Other


def parse(text: str) -> list[Line]:
    """Read the file's lines."""
    return [_line(line) for line in text.splitlines()]


def render(lines: Iterable[Line]) -> str:
    """Write the file."""
    return "".join(
        f"{','.join(line.names)} {line.key}\n" if isinstance(line, Entry) else f"{line.text}\n"
        for line in lines
    )


def pin(lines: Sequence[Line], names: Sequence[str], key: str) -> list[Line]:
    """Make the key the only one known under the names."""
    others = [_without(line, names) for line in lines]
    return [*(line for line in others if line is not None), Entry(tuple(names), key)]


def unite(lines: Sequence[Line], names: Sequence[str]) -> list[Line]:
    """Make one entry for all names of a machine, when exactly one key is known under some of them:
    a key accepted at one address is then valid at the others."""
    mine = [line for line in lines if isinstance(line, Entry) and set(line.names) & set(names)]
    if len({line.key for line in mine}) != 1:
        return list(lines)
    if len(mine) == 1 and set(names) <= set(mine[0].names):
        return list(lines)
    return pin(lines, names, mine[0].key)


def _line(text: str) -> Line:
    words = text.split()
    if len(words) < 3 or text.startswith(("#", "@", "|", " ", "\t")):
        return Other(text)
    names, *key = words[:3]
    return Entry(tuple(names.split(",")), " ".join(key))


def _without(line: Line, names: Sequence[str]) -> Line | None:
    if isinstance(line, Other):
        return line
    left = tuple(name for name in line.names if name not in names)
    return replace(line, names=left) if left else None
