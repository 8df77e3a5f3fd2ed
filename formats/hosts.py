"""
hosts(5): names and their addresses, known without DNS.

``address name [alias …] [# comment]`` a line. bramble's lines stand between two comment lines
(``formats.marked``); every other line is kept. Read as glibc's nss_files reads it: words end at
ASCII's blanks and carriage return; an address is what inet_pton(3) takes, and an IPv4 address that
is written as IPv6 (``::ffff:10.0.0.1``) is that IPv4 address.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from formats import marked

# cloud-init's template has these in place of the node's own name.
TEMPLATE_NAMES = frozenset(["{{fqdn}}", "{{hostname}}", "$fqdn", "$hostname"])


@dataclass(frozen=True)
class Line:
    """
    One line.

    + text: as it stands, with its line feed
    + address: empty where it gives none
    + names: the first is the canonical one
    """

    text: str
    address: str = ""
    names: tuple[str, ...] = ()


def parse(text: str) -> list[Line]:
    """Read the file's lines."""
    return [_line(line) for line in re.findall(r"[^\n]*\n|[^\n]+", text)]


def render(lines: Iterable[Line]) -> str:
    """Write the file; ``render(parse(text))`` is ``text``."""
    return "".join(line.text for line in lines)


def conflict(text: str, entries: Mapping[str, Sequence[str]]) -> tuple[int, str, str] | None:
    """
    Find a line outside of bramble's that gives one of the names another address.

    + returns: the line's number, the name, and the address there; a loopback address is not a
      conflict: see ``update``
    """
    desired = {name: _same(address) for address, names in entries.items() for name in names}
    for number, (line, inside) in enumerate(_lines(text), 1):
        if inside or not line.address or _is_loopback(line.address):
            continue
        for name in line.names:
            if desired.get(name.lower(), _same(line.address)) != _same(line.address):
                return number, name, line.address
    return None


def update(text: str, entries: Mapping[str, Sequence[str]], also: Collection[str] = ()) -> str:
    """
    Write these entries as bramble's lines.

    The names are removed from the loopback lines of others: ``127.0.1.1 node1`` is what installers
    write when they know no address. A line without any name left is removed.

    + entries: ``{address: names}``; empty: bramble's lines are removed
    + also: further names to remove from loopback lines
    + raises ``ValueError``: the marks around bramble's lines are damaged
    """
    marked.get(text)
    gone = {name for names in entries.values() for name in names} | set(also)
    others = "".join(
        line.text if inside or not _is_loopback(line.address) else _without(line, gone)
        for line, inside in _lines(text)
    )
    body = "".join(f"{address}\t{' '.join(names)}\n" for address, names in entries.items())
    return marked.put(others, body or None)


def _lines(text: str) -> Iterator[tuple[Line, bool]]:
    """Read each line, and whether it is one of bramble's, marks included."""
    inside = False
    for line in parse(text):
        inside = inside or line.text.startswith(marked.BEGIN)
        yield line, inside
        inside = inside and not line.text.startswith(marked.END)


def _line(text: str) -> Line:
    read = re.split(r"[#\n\0]", text)[0]
    address, *names = re.findall(r"[^ \t\v\f\r]+", read) or [""]
    return Line(text, address, tuple(names)) if _same(address) else Line(text)


def _same(address: str) -> str:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            parsed = ip_address(socket.inet_pton(family, address))
        except (OSError, ValueError):
            continue
        return str(getattr(parsed, "ipv4_mapped", None) or parsed)
    return ""


def _is_loopback(address: str) -> bool:
    return bool(address) and ip_address(_same(address)).is_loopback


def _without(line: Line, gone: Collection[str]) -> str:
    left = [name for name in line.names if name.lower() not in gone]
    if len(left) == len(line.names):
        return line.text
    if not left:
        return ""
    start, end = (
        re.match(r"\s*\S+\s+", line.text),
        re.search(r"\s*(?:#.*)?\Z", line.text, re.DOTALL),
    )
    return f"{start[0] if start else ''}{' '.join(left)}{end[0] if end else ''}"


def own_name(text: str) -> str:
    """Read the name in /etc/hostname, hostname(5): its first line that is not a comment."""
    lines = [line.strip() for line in text.split("\n")]
    return next((line for line in lines if line and not line.startswith("#")), "")
