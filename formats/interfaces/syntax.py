"""
The syntax of interfaces files: every line is parsed and kept.

An error is what makes ifupdown stop reading. A file is a sequence of items; a parsed item keeps its
text (``raw``), so that ``render(parse(text)) == text``. An item that is made or changed in the
program (``replace(item, …, raw=None)``) is written in the current plain form. ``raw`` and ``line``
are not compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from formats.unreadable import Unreadable
from messages.formats import INTERFACES_LINE, INTERFACES_SYNTAX

SPACE = " \t\n\v\f\r"  # as isspace(3); Python's str.isspace() knows more

# Address families and their methods on Linux (ifupdown's *.defn files).
METHODS: dict[str, tuple[str, ...]] = {
    "inet": (
        *("loopback", "static", "manual", "dhcp", "bootp"),
        *("tunnel", "ppp", "wvdial", "ipv4ll"),
    ),
    "inet6": ("auto", "loopback", "static", "manual", "dhcp", "tunnel", "v4tunnel", "6to4"),
    "ipx": ("static", "dynamic"),
    "can": ("static",),
    "meta": ("none",),
}
_SELECTS = re.compile("auto|no-auto-down|no-scripts|rename|allow-.+")


class InterfacesError(Unreadable):
    """
    A line at which ifupdown stops reading the file.

    + line: its number, from 1
    + reason: what is wrong with it
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(INTERFACES_SYNTAX(line=line, reason=reason))
        self.line = line
        self.reason = reason


@dataclass(frozen=True)
class Text:
    """A blank line or a comment, with its line feed."""

    text: str


@dataclass(frozen=True)
class _Item:
    raw: str | None = field(default=None, compare=False, repr=False, kw_only=True)
    line: int = field(default=0, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True)
class Selection(_Item):
    """
    A line that lists interfaces: ``auto``, ``allow-CLASS``, ``no-auto-down``, ``no-scripts``,
    ``rename``. Without names, inside a stanza, it means the interface of that stanza.
    """

    keyword: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source(_Item):
    """``source PATTERN`` or ``source-directory PATTERN`` (or any ``source-dir…``, as ifupdown)."""

    keyword: str
    pattern: str


@dataclass(frozen=True)
class Option(_Item):
    """A line of a stanza: its first word, and the rest."""

    name: str
    value: str = ""


@dataclass(frozen=True)
class Iface(_Item):
    """
    ``iface NAME FAMILY METHOD [inherits TEMPLATE]`` and its options, in order.

    Family and method may be missing when it inherits them.
    """

    name: str
    family: str | None
    method: str | None
    inherits: str | None = None
    body: tuple[Option | Selection | Text, ...] = ()

    @property
    def options(self) -> tuple[Option, ...]:
        """Its options, without comments and ``auto`` lines."""
        return tuple(item for item in self.body if isinstance(item, Option))


@dataclass(frozen=True)
class Mapping(_Item):
    """``mapping PATTERN…`` with its ``script`` and ``map`` lines."""

    patterns: tuple[str, ...]
    body: tuple[Option | Text, ...] = ()


Item = Text | Selection | Source | Iface | Mapping


@dataclass(frozen=True)
class File:
    """One interfaces file."""

    items: tuple[Item, ...] = ()


def render(file: File) -> str:
    """Write a file; ``ValueError`` for a value that a line cannot hold."""
    lines: list[str] = []
    for item in file.items:
        lines.append(_line(item, ""))
        if isinstance(item, Iface | Mapping):
            lines.extend(_line(inner, "    ") for inner in item.body)
    for index, line in enumerate(lines[:-1]):  # a file's last line may lack its line feed
        if not line.endswith("\n"):
            lines[index] = line + "\n"
    return "".join(lines)


def _line(item: Item | Option, indent: str) -> str:
    if isinstance(item, Text):
        return item.text
    if item.raw is not None:
        return item.raw
    words: tuple[str | None, ...]
    match item:
        case Selection():
            words = (item.keyword, *item.names)
        case Source():
            words = (item.keyword, item.pattern)
        case Option():
            words = (item.name, item.value)
        case Iface():
            inherits = ("inherits", item.inherits) if item.inherits else ()
            words = ("iface", item.name, item.family, item.method, *inherits)
        case Mapping():
            words = ("mapping", *item.patterns)
    found = [word for word in words if word]
    text = " ".join(found)
    torn = any(sign in word for word in found[:-1] for sign in SPACE)
    if torn or found[-1] != found[-1].strip(SPACE) or "\n" in text or text.endswith("\\"):
        raise ValueError(INTERFACES_LINE(keyword=words[0], value=repr(words[1:])))
    return f"{indent}{text}\n"


def parse(text: str) -> File:
    """
    Read a file as ifupdown does.

    + text: the whole content
    + raises ``InterfacesError``: ifupdown stops reading there
    """
    return _Parser().read(text)


def _logical_lines(text: str) -> Iterator[tuple[int, str, str]]:
    """Join continued lines: number of the first, verbatim text, joined text."""
    physical = text.split("\n")
    physical = [line + "\n" for line in physical[:-1]] + ([physical[-1]] if physical[-1] else [])
    index = 0
    while index < len(physical):
        first = index
        joined = _until_nul(physical[index]).lstrip(SPACE)
        index += 1
        if not joined.startswith("#"):  # a comment is never continued
            while joined.endswith("\\"):
                joined = joined[:-1]
                if index == len(physical):
                    break
                joined += _until_nul(physical[index])
                index += 1
            joined = joined.rstrip(SPACE)
        yield first + 1, "".join(physical[first:index]), joined


def _until_nul(line: str) -> str:
    return line.removesuffix("\n").partition("\0")[0]


def _split(text: str) -> tuple[str, str]:
    """Split off the first word (empty when the text begins with a space)."""
    word = re.split(f"[{SPACE}]", text, maxsplit=1)[0]
    return word, text[len(word) :].lstrip(SPACE)


def _words(text: str) -> list[str]:
    return re.findall(f"[^{SPACE}]+", text)


class _Parser:
    """
    The items so far, and the stanza that is being read.

    Comments and blank lines wait until it is known whether the stanza continues behind them: those
    between two stanzas belong to neither.
    """

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.head: Iface | Mapping | None = None
        self.body: list[Option | Selection | Text] = []
        self.waiting: list[Text] = []

    def read(self, text: str) -> File:
        for number, raw, line in _logical_lines(text):
            if not line or (line.startswith("#") and raw.lstrip(SPACE).startswith("#")):
                self.waiting.append(Text(raw))
            else:
                self.take(number, raw, *_split(line))
        self.close()
        return File(tuple(self.items))

    def take(self, line: int, raw: str, word: str, rest: str) -> None:
        if word == "mapping":
            self.open(Mapping(tuple(_words(rest)), raw=raw, line=line))
        elif word == "iface":
            self.open(_iface(line, raw, rest))
        elif word == "source" or word.startswith("source-dir"):
            self.close(Source(word, rest, raw=raw, line=line))
        elif _SELECTS.fullmatch(word):
            names = tuple(_words(rest))
            selection = Selection(word, names, raw=raw, line=line)
            if not names and word != "rename" and isinstance(self.head, Iface):
                self.inside(selection)
            else:
                self.close(selection)
        else:
            self.option(Option(word, rest, raw=raw, line=line))

    def option(self, option: Option) -> None:
        if self.head is None:
            raise InterfacesError(option.line, f"misplaced option {option.name!r}")
        if isinstance(self.head, Iface) and not option.value:
            raise InterfacesError(option.line, f"option {option.name!r} has no value")
        if isinstance(self.head, Mapping):
            if option.name not in ("script", "map"):
                raise InterfacesError(option.line, f"{option.name!r} is not an option of a mapping")
            names = [item.name for item in self.body if isinstance(item, Option)]
            if option.name == "script" and "script" in names:
                raise InterfacesError(option.line, "a second script in one mapping")
        self.inside(option)

    def inside(self, item: Option | Selection) -> None:
        self.body += [*self.waiting, item]
        self.waiting = []

    def open(self, head: Iface | Mapping) -> None:
        self.close()
        self.head = head

    def close(self, item: Selection | Source | None = None) -> None:
        """End the stanza that is being read, if any; then add an item outside of stanzas."""
        head = self.head
        if isinstance(head, Iface):
            self.items.append(replace(head, body=tuple(self.body)))
        elif isinstance(head, Mapping):
            lines = tuple(item for item in self.body if not isinstance(item, Selection))
            self.items.append(replace(head, body=lines))
        self.items += [*self.waiting, *([item] if item else [])]
        self.head, self.body, self.waiting = None, [], []


def _iface(line: int, raw: str, rest: str) -> Iface:
    """Read a stanza's first line. ifupdown ignores what follows the method, except ``inherits``."""
    name, *words = _words(rest) or [""]
    if not name:
        raise InterfacesError(line, "iface without a name")
    family = words.pop(0) if words and words[0] in METHODS else None
    method = words.pop(0) if family and words and words[0] in METHODS[family] else None
    inherits = None
    if words and words[0] == "inherits":
        if len(words) == 1:
            raise InterfacesError(line, "inherits without a name")
        inherits = words[1]
    elif method is None:
        what = f"method of {family}" if family else "address family"
        found = f": {words[0]!r}" if words else ""
        raise InterfacesError(line, f"unknown or missing {what}{found}")
    return Iface(name, family, method, inherits, raw=raw, line=line)
