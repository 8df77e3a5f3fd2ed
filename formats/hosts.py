"""hosts(5): names and addresses that are known without asking anybody.

``address name [alias …] [# comment]`` a line. Ours stand between two comment lines
(``formats.marked``); every other line is kept as it is. Read as glibc's nss_files reads it: words
end at ASCII's blanks, a carriage return among them; an address is what inet_pton(3) takes, and an
IPv4 address that is written as IPv6's (``::ffff:10.0.0.1``) is that IPv4 address.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from formats import marked

_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
# In cloud-init's template these stand for the node's own name.
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
    """The file's lines."""
    return [_line(line) for line in re.findall(r"[^\n]*\n|[^\n]+", text)]


def render(lines: Iterable[Line]) -> str:
    """The file's text; ``render(parse(text))`` is ``text``."""
    return "".join(line.text for line in lines)


def check_name(name: str) -> None:
    """``ValueError`` for what is no host name (RFC 1123; Kubernetes wants it in lower case)."""
    if name != name.lower():
        raise ValueError(f"host name {name!r} is not in lower case: did you mean {name.lower()!r}?")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no host name: letters, digits and hyphens, 63 at most between two dots"
        )


def check(entries: Mapping[str, Sequence[str]]) -> None:
    """
    ``ValueError`` when this can't be what a person means.

    + entries: ``{address: names}``
    """

    seen: dict[str, str] = {}
    for address, names in entries.items():
        try:
            parsed = ip_address(address)
        except ValueError:
            raise ValueError(f"{address!r} is not an IP address") from None
        if parsed.is_loopback or parsed.is_unspecified or parsed.is_multicast:
            raise ValueError(f"{address} is no address that other nodes could reach a node at")
        if not names:
            raise ValueError(f"{address} is given no name")
        for name in names:
            check_name(name)
            if name.split(".")[0] == "localhost":
                raise ValueError(f"{name} is this machine's own loopback, not {address}")
            if seen.setdefault(name, str(parsed)) != str(parsed):
                raise ValueError(f"{name} is given two addresses: {seen[name]} and {address}")


def conflict(text: str, entries: Mapping[str, Sequence[str]]) -> tuple[int, str, str] | None:
    """
    A line of someone else that gives one of our names another address.

    + returns: the line's number, the name, and the address there; loopback addresses are no
      conflict, see ``update``
    """

    ours = {name: _same(address) for address, names in entries.items() for name in names}
    for number, (line, inside) in enumerate(_lines(text), 1):
        if inside or not line.address or _is_loopback(line.address):
            continue
        for name in line.names:
            if ours.get(name.lower(), _same(line.address)) != _same(line.address):
                return number, name, line.address
    return None


def update(text: str, entries: Mapping[str, Sequence[str]], also: Collection[str] = ()) -> str:
    """
    The file with these entries as our lines; ``ValueError`` when our marks are damaged.

    Loopback lines of others give up the names that are ours: ``127.0.1.1 node1`` is what installers
    write for want of an address. A line that has no name left goes; other names stay.

    + entries: ``{address: names}``; none: our lines go
    + also: further names that loopback lines give up
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
    """Each line, and whether it is one of ours, marks included."""
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
    """The name in hostname(5), /etc/hostname: its first line that is no comment."""
    lines = [line.strip() for line in text.split("\n")]
    return next((line for line in lines if line and not line.startswith("#")), "")
