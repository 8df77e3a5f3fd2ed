"""
Interfaces files together: which of them ifupdown reads, what they define, one interface taken out.

Source: interfaces(5) and config.c of ifupdown 0.8.44.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from formats.interfaces import (
    SPACE,
    File,
    Iface,
    InterfacesError,
    Item,
    Option,
    Selection,
    Source,
    Text,
    parse,
    render,
)

ROOT = "/etc/network/interfaces"
HOOKS = ("pre-up", "up", "down", "post-down")
SYNONYMS = {"post-up": "up", "pre-down": "down", "wpa-essid": "wpa-ssid"}
_SECRETS = re.compile(
    r"wpa-(psk|passphrase|password|eappsk|pin|wep-key\d|private-key-passwd2?)|wireless-(enc|key\d?)"
)


@dataclass(frozen=True)
class Definition:
    """
    A stanza and where it stands.

    ``options`` are those it has for itself and those it inherits, as ifupdown holds them: a
    repeated option is one value with line feeds, a hook is not joined.
    """

    path: str
    iface: Iface
    family: str
    method: str
    options: tuple[tuple[str, str], ...]

    @property
    def place(self) -> str:
        """File and line, for a message."""
        return f"{self.path}, line {self.iface.line}"


def walk(texts: Mapping[str, str], start: str = ROOT) -> Iterator[tuple[str, Item]]:
    """
    Every item that ifupdown reads, in its order, with its file.

    A file that is named twice is read once; of a file with an error, what stands before it.

    + texts: the content of every file that is there, by its absolute path
    + start: the file that ifupdown begins with
    """

    for path, item in _read(texts, start):
        if item is not None:
            yield path, item


def _read(texts: Mapping[str, str], start: str) -> Iterator[tuple[str, Item | None]]:
    """The same, with a None at the beginning of every file."""
    seen: set[str] = set()

    def visit(path: str) -> Iterator[tuple[str, Item | None]]:
        if path in seen or path not in texts:
            return
        seen.add(path)
        yield path, None
        for item in _readable(texts[path]).items:
            yield path, item
            if isinstance(item, Source):
                for found in _expand(item, path, texts):
                    yield from visit(found)

    return visit(start)


def is_read(path: str, texts: Mapping[str, str], start: str = ROOT) -> bool:
    """
    Whether ifupdown reads a file, which may be one that is still to be written.

    + path: absolute
    + texts, start: as for ``walk``
    """

    return any(found == path for found, _ in _read({path: "", **texts}, start))


def errors(texts: Mapping[str, str], start: str = ROOT) -> list[tuple[str, InterfacesError]]:
    """The files in which ifupdown stops reading, and where; in the first it is fatal to all."""
    found = []
    for path in dict.fromkeys(path for path, _ in _read(texts, start)):
        try:
            parse(texts[path])
        except InterfacesError as error:
            found.append((path, error))
    return found


def definitions(texts: Mapping[str, str], start: str = ROOT) -> list[Definition]:
    """
    Every stanza that ifupdown knows, in its order, with what it inherits.

    + texts, start: as for ``walk``
    """

    found: list[Definition] = []
    for path, item in walk(texts, start):
        if isinstance(item, Iface):
            found.append(resolve(item, found, path))
    return found


def resolve(iface: Iface, before: Sequence[Definition] = (), path: str = "") -> Definition:
    """
    A stanza with what it inherits.

    + iface: the stanza
    + before: what is defined before it
    + path: the file that it stands in
    """

    template = next(
        (
            other
            for other in before
            if other.iface.name == iface.inherits and iface.family in (None, other.family)
        ),
        None,
    )
    options = list(template.options) if template else []
    for option in iface.options:
        name = SYNONYMS.get(option.name, option.name)
        index = next((i for i, (known, _) in enumerate(options) if known == name), None)
        if index is None or name in HOOKS:
            options.append((name, option.value))
        else:
            options[index] = (name, f"{options[index][1]}\n{option.value}")
    family = iface.family or (template.family if template else "")
    method = iface.method or (template.method if template else "")
    return Definition(path, iface, family, method, tuple(options))


def started(file: File, name: str) -> frozenset[str]:
    """
    How a file has an interface brought up: ``{"auto", "allow-hotplug"}`` or fewer.

    + file: the file
    + name: the interface
    """

    found = set()
    for item in file.items:
        if isinstance(item, Selection) and name in item.names:
            found.add(item.keyword)
        elif isinstance(item, Iface) and item.name == name:
            found |= {line.keyword for line in item.body if isinstance(line, Selection)}
    return frozenset(word.replace("allow-auto", "auto") for word in found)


def without(file: File, name: str, family: str = "inet") -> File:
    """
    A file that no longer defines an interface; comments, and all that concerns others, stay.

    + file: the file
    + name: the interface
    + family: the address family whose stanzas go; ``auto`` lines go with the last of the name
    """

    left = [item for item in file.items if not _defines(item, name, family)]
    if not any(isinstance(item, Iface) and item.name == name for item in left):
        left = [kept for item in left if (kept := _unselect(item, name))]
    return File(tuple(left))


def _defines(item: Item, name: str, family: str) -> bool:
    return isinstance(item, Iface) and item.name == name and (item.family or family) == family


def _unselect(item: Item, name: str) -> Item | None:
    if not isinstance(item, Selection) or name not in item.names:
        return item
    names = tuple(other for other in item.names if other != name)
    return replace(item, names=names, raw=None) if names else None


def says_nothing(file: File) -> bool:
    """Whether a file holds comments and blank lines only."""
    return all(isinstance(item, Text) for item in file.items)


def holds_secret(text: str) -> bool:
    """Whether a file has an option that nobody but root should read, such as ``wpa-psk``."""
    words = (line.lstrip(SPACE).split(maxsplit=1) for line in text.split("\n"))
    return any(word and _SECRETS.fullmatch(word[0]) for word in words)


def _readable(text: str) -> File:
    """The file as far as ifupdown comes."""
    try:
        return parse(text)
    except InterfacesError as error:
        return _readable("".join(f"{line}\n" for line in text.split("\n")[: error.line - 1]))


def _expand(source: Source, inside: str, texts: Iterable[str]) -> list[str]:
    """The files that one ``source`` line names, as wordexp(3) and scandir(3) would list them."""
    found: list[str] = []
    base = posixpath.dirname(inside)
    for number, word in enumerate(source.pattern.split()):
        # only the beginning of the line is taken relative to the file's own directory
        pattern = word if number or word.startswith("/") else f"{base}/{word}"
        if source.keyword == "source":
            matches = _glob(pattern)
            found += sorted(path for path in texts if matches(path))
        else:
            matches = _glob(pattern)
            found += sorted(
                path
                for path in texts
                if matches(posixpath.dirname(path))
                and re.fullmatch(r"[A-Za-z0-9_-]+", posixpath.basename(path))
            )
    return found


def _glob(pattern: str) -> Callable[[str], bool]:
    """A shell pattern: no ``*`` goes over a slash, or matches the dot of a hidden file."""
    parts: list[str] = []
    for part in posixpath.normpath(pattern).split("/"):
        regex = "" if part.startswith(".") else r"(?!\.)"
        for sign in re.findall(r"\[!?\]?[^]]*\]|.", part):
            if sign == "*":
                regex += "[^/]*"
            elif sign == "?":
                regex += "[^/]"
            elif len(sign) > 1:
                regex += sign.replace("[!", "[^", 1)
            else:
                regex += re.escape(sign)
        parts.append(regex)
    compiled = re.compile("/".join(parts))
    return lambda path: compiled.fullmatch(path) is not None


def flattened(texts: Mapping[str, str], start: str = ROOT) -> str:
    """
    All that ifupdown reads as one file, without secrets: enough to take an interface down by.

    + texts, start: as for ``walk``
    """

    items = (item for _, item in walk(texts, start) if not isinstance(item, Source | Text))
    return render(File(tuple(_harmless(item) for item in items)))


def _harmless(item: Item) -> Item:
    if not isinstance(item, Iface):
        return item
    body = tuple(
        replace(line, value="hidden", raw=None)
        if isinstance(line, Option) and _SECRETS.fullmatch(line.name)
        else line
        for line in item.body
    )
    return replace(item, body=body)
