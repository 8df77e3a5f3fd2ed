"""The tree of interfaces files: which ones ifupdown reads, what they define, removing one."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from formats.interfaces.syntax import (
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
from formats.interfaces.syntax import Mapping as MappingStanza

ROOT = "/etc/network/interfaces"
HOOKS = ("pre-up", "up", "down", "post-down")
_ALL_PORTS = "eth.*|em.*|en.*|p[0-9].*"  # bridge-utils.sh
# Pieces of a line that wordexp(3) splits; without variables, homes, commands and what it refuses.
_PIECE = re.compile(
    r"""(?P<blank>[ \t]+)|'(?P<single>[^']*)'|"(?P<double>(?:[^"\\$`]|\\.)*)"|\\(?P<one>.)"""
    r"""|(?P<plain>[^ \t'"\\$`|&;<>(){}]+)"""
)
# Pieces of a glob(7) pattern, and of a set of characters in it.
_GLOB = re.compile(
    r"\\(?P<quoted>.)|\[(?P<negated>[!^]?)(?P<set>\]?(?:\[:\w+:\]|\[[.=].[.=]\]|\\.|[^]\\])*)\]"
    r"|(?P<sign>.)",
    re.DOTALL,
)
_MEMBER = re.compile(r"\[:(?P<kind>\w+):\]|\[[.=](?P<same>.)[.=]\]|\\?(?P<sign>.)", re.DOTALL)
_SIGNS = {"*": ".*", "?": "."}
_KINDS = {  # ifupdown keeps the locale C
    "digit": "0-9",
    "xdigit": "0-9A-Fa-f",
    "lower": "a-z",
    "upper": "A-Z",
    "alpha": "a-zA-Z",
    "alnum": "a-zA-Z0-9",
    "punct": "!-/:-@[-`{-~".replace("[", r"\["),
    "graph": "!-~",
    "print": " -~",
    "blank": r" \t",
    "space": r" \t-\r",
}
SYNONYMS = {"post-up": "up", "pre-down": "down", "wpa-essid": "wpa-ssid"}
_SECRETS = re.compile(
    r"wpa-(psk|passphrase|password|eappsk|pin|wep-key\d|private-key-passwd2?)|wireless-(enc|key\d?)"
)


@dataclass(frozen=True)
class Definition:
    """
    A stanza and its place.

    + options: its own and the inherited ones, as ifupdown stores them: a repeated option is one
      value with line feeds, hooks are not joined
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


def fits(name: str, pattern: str) -> bool:
    """Match as fnmatch(3), which has more ways to write a set of characters than Python."""
    try:
        expression = _GLOB.sub(_expression, _octets(pattern))
        return re.fullmatch(expression, _octets(name), re.DOTALL) is not None
    except (KeyError, re.error):  # an unknown kind of character, a range from z to a
        return False


def _octets(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _expression(piece: re.Match[str]) -> str:
    """Translate a piece of a glob into a regular expression."""
    if piece["set"] is None:
        sign = piece["sign"]
        return _SIGNS.get(sign) or re.escape(sign or piece["quoted"])
    members = ""
    for member in _MEMBER.finditer(piece["set"]):
        plain = re.escape(member["same"] or member["sign"] or "")
        is_range = member[0] == "-" and members
        members += _KINDS[member["kind"]] if member["kind"] else "-" if is_range else plain
    return f"[{'^' if piece['negated'] else ''}{members}]"


def asked(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """
    Read what ``ifquery --verbose --list`` prints about the interfaces files.

    + lines: its output, behind a line of the same form for the first file, which it leaves out
    + returns: the files that ifupdown reads, in its order; "FILE:LINE: reason" where it stops
    """
    read, stops = [], []
    for line in lines:
        said = line.removeprefix("ifquery: ")
        if said.startswith("parsing file "):
            read.append(said.removeprefix("parsing file "))
        elif said != line and re.match(r"/.*:\d+: ", said) and "ignored" not in said:
            stops.append(said)
    return list(dict.fromkeys(read)), stops


def walk(texts: Mapping[str, str], start: str = ROOT) -> Iterator[tuple[str, Item]]:
    """
    Read every item in ifupdown's order, with its file, where no ifupdown is installed.

    A file that is named twice is read once; a file with an error is read up to it.

    + texts: the content of every file, by its absolute path
    + start: the file that ifupdown begins with
    """
    for path, item in _read(texts, start):
        if item is not None:
            yield path, item


def _read(texts: Mapping[str, str], start: str) -> Iterator[tuple[str, Item | None]]:
    """Read the same, with a None at the beginning of every file."""
    seen: set[str] = set()

    def visit(path: str) -> Iterator[tuple[str, Item | None]]:
        if path in seen or path not in texts:
            return
        seen.add(path)
        yield path, None
        for item in _readable(texts[path]).items:
            yield path, item
            if isinstance(item, Source):
                for found in sources(item, path, texts):
                    yield from visit(found)

    return visit(start)


def items(texts: Mapping[str, str], read: Sequence[str] = ()) -> Iterator[tuple[str, Item]]:
    """
    Read every item of the files that ifupdown reads.

    + texts: as for ``walk``
    + read: their paths, from ``asked``; empty: ifupdown is not installed
    """
    if not read:
        yield from walk(texts)
    for path in read:
        for item in _readable(texts.get(path, "")).items:
            yield path, item


def is_read(path: str, texts: Mapping[str, str], read: Sequence[str] = ()) -> bool:
    """
    Tell whether ifupdown reads a file, which may not exist yet.

    In doubt the answer is no: naming a file once more has no effect.

    + path: absolute
    + texts, read: as for ``items``
    """
    if read and path in texts:
        return path in read
    named = (
        sources(item, place, [path])
        for place, item in items(texts, read)
        if isinstance(item, Source)
    )
    return any(path in paths for paths in named)


def errors(texts: Mapping[str, str], start: str = ROOT) -> list[tuple[str, InterfacesError]]:
    """Find where ifupdown stops reading, where no ifupdown is installed."""
    found = []
    before: list[Definition] = []
    for path, item in _read(texts, start):
        if item is None:
            try:
                parse(texts[path])
            except InterfacesError as error:
                found.append((path, error))
        elif isinstance(item, Iface):
            if item.inherits and _template(item, before) is None:
                reason = (
                    f"iface {item.name} inherits {item.inherits}, which is not defined before it"
                )
                found.append((path, InterfacesError(item.line, reason)))
            before.append(resolve(item, before, path))
    return found


def definitions(texts: Mapping[str, str], read: Sequence[str] = ()) -> list[Definition]:
    """
    Read every stanza in ifupdown's order, with what it inherits.

    + texts, read: as for ``items``
    """
    return [each for _, each in _resolved(texts, read) if isinstance(each, Definition)]


def _resolved(
    texts: Mapping[str, str], read: Sequence[str]
) -> Iterator[tuple[str, Item | Definition]]:
    """Read the items, with each stanza resolved."""
    there = list(items(texts, read))
    # It is not known where in each other ifupdown has read these files. Every template exists, or
    # ifupdown would have stopped.
    others = [resolve(item, (), path) for path, item in there if isinstance(item, Iface) and read]
    before: list[Definition] = []
    for path, item in there:
        if isinstance(item, Iface):
            before.append(resolve(item, [*before, *others], path))
            yield path, before[-1]
        else:
            yield path, item


def resolve(iface: Iface, before: Sequence[Definition] = (), path: str = "") -> Definition:
    """
    Resolve a stanza: add what it inherits.

    + iface: the stanza
    + before: the definitions before it
    + path: its file
    """
    template = _template(iface, before)
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


def _template(iface: Iface, before: Iterable[Definition]) -> Definition | None:
    for other in before:
        if other.iface.name == iface.inherits and iface.family in (None, other.family):
            return other
    return None


def overriding_lines(
    name: str, texts: Mapping[str, str], read: Sequence[str] = ()
) -> Iterator[tuple[str, str]]:
    """
    Find the lines by which something else controls an interface, so that a stanza has no effect.

    + name: the interface
    + texts, read: as for ``items``
    + returns: the line's place, and what it does
    """
    for path, item in items(texts, read):
        place = f"{path}, line {item.line}" if not isinstance(item, Text) else ""
        if isinstance(item, MappingStanza) and any(fits(name, each) for each in item.patterns):
            yield place, f"maps {name} to a definition that a script chooses"
        elif isinstance(item, Selection) and item.keyword == "rename":
            for old, _, new in (word.partition("=") for word in item.names):
                if fits(name, old) and new != name:
                    yield place, f"renames {name} to {new}"
        elif isinstance(item, Iface):
            for option in item.options:
                if _takes(option, name, item.name):
                    yield f"{path}, line {option.line}", f"makes {name} a port of {item.name}"
                elif item.name == name and option.name in ("bond-master", "bond_master"):
                    yield f"{path}, line {option.line}", f"makes {name} a port of {option.value}"


def _takes(option: Option, name: str, bridge: str) -> bool:
    """Tell whether a bridge or a bond has the interface as a port (bridge-utils-interfaces(5))."""
    key = option.name.replace("-", "_")
    if key not in ("bridge_ports", "bond_slaves", "slaves") or name == bridge:
        return False
    words = option.value.split()
    if key != "bridge_ports":
        return name in words or (words == ["all"] and name.startswith("eth"))
    patterns = False
    for word in words:
        if word in ("regex", "noregex", "all"):
            patterns = word == "regex"
            if word == "all" and _matches(_ALL_PORTS, name):
                return True
        elif name == word or (patterns and _matches(word, name)):
            return True
    return False


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.search(f"^({pattern})$", name) is not None
    except re.error:
        return False


def started(file: File, name: str) -> frozenset[str]:
    """
    Read how a file has an interface brought up: ``{"auto", "allow-hotplug"}`` or fewer.

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


def without(file: File, name: str) -> File:
    """
    Remove an interface's IPv4 stanzas from a file; comments and all other interfaces stay.

    ``auto`` lines are removed with the last stanza of the name.

    + file: the file
    + name: the interface
    """
    left = [item for item in file.items if not _defines(item, name)]
    if not any(isinstance(item, Iface) and item.name == name for item in left):
        left = [kept for item in left if (kept := _unselect(item, name))]
    return File(tuple(left))


def _defines(item: Item, name: str) -> bool:
    return isinstance(item, Iface) and item.name == name and item.family in (None, "inet")


def _unselect(item: Item, name: str) -> Item | None:
    if not isinstance(item, Selection) or name not in item.names:
        return item
    names = tuple(other for other in item.names if other != name)
    return replace(item, names=names, raw=None) if names else None


def is_empty(file: File) -> bool:
    """Tell whether a file has only comments and blank lines."""
    return all(isinstance(item, Text) for item in file.items)


def holds_secret(text: str) -> bool:
    """Tell whether a file has an option that only root should read, such as ``wpa-psk``."""
    words = (line.lstrip(SPACE).split(maxsplit=1) for line in text.split("\n"))
    return any(word and _SECRETS.fullmatch(word[0]) for word in words)


def _readable(text: str) -> File:
    """Read the file as far as ifupdown does."""
    try:
        return parse(text)
    except InterfacesError as error:
        return _readable("".join(f"{line}\n" for line in text.split("\n")[: error.line - 1]))


def sources(source: Source, inside: str, texts: Iterable[str]) -> list[str]:
    """
    Find the files that one ``source`` line names.

    A line for which wordexp(3) would need variables, homes or commands, or which it refuses, names
    nothing.
    """
    whole = source.pattern.startswith("/")  # even a quote before the slash makes it relative
    line = source.pattern if whole else f"{posixpath.dirname(inside)}/{source.pattern}"
    found: list[str] = []
    for word in _expand(line):
        if source.keyword == "source":
            named = sorted(path for path in texts if _globs(word, path))
            found += named or [re.sub(r"\\(.)", r"\1", word)]
        else:
            found += sorted(
                path
                for path in texts
                if _globs(word, posixpath.dirname(path))
                and re.fullmatch(r"[A-Za-z0-9_-]+", posixpath.basename(path))
            )
    return found


def _expand(line: str) -> list[str]:
    """Split as wordexp(3) into patterns, in which a quoted character has a backslash before it."""
    words: list[str] = []
    position, blank = 0, True
    while position < len(line):
        piece = _PIECE.match(line, position)
        if piece is None or (blank and piece[0].startswith("~")):
            return []
        position = piece.end()
        if piece["blank"]:
            blank = True
            continue
        double = re.sub(r'\\(["\\$`])', r"\1", piece["double"] or "")
        quoted = re.sub("([^/])", r"\\\1", piece["single"] or double or piece["one"] or "")
        words[len(words) if blank else -1 :] = [
            ("" if blank else words[-1]) + (piece["plain"] or quoted)
        ]
        blank = False
    return words


def _globs(pattern: str, path: str) -> bool:
    """Match a shell pattern: no ``*`` matches a slash, or a hidden file's dot."""
    globs, parts = posixpath.normpath(pattern).split("/"), path.split("/")
    return len(globs) == len(parts) and all(
        fits(part, glob) and (not part.startswith(".") or glob.startswith((".", r"\.")))
        for glob, part in zip(globs, parts, strict=True)
    )


def flattened(texts: Mapping[str, str], read: Sequence[str] = ()) -> str:
    """
    Write everything that ifupdown reads as one file without secrets, for taking an interface down.

    Inherited options are written out, as the order of the files is not kept.

    + texts, read: as for ``items``
    """
    kept = (item for _, item in _resolved(texts, read) if not isinstance(item, Source | Text))
    return render(
        File(tuple(_harmless(item) if isinstance(item, Definition) else item for item in kept))
    )


def _harmless(definition: Definition) -> Iface:
    iface = definition.iface
    body = iface.body
    if iface.inherits:
        lines = ((name, value.split("\n")) for name, value in definition.options)
        body = tuple(Option(name, value) for name, values in lines for value in values)
    kept = tuple(
        replace(line, value="hidden", raw=None)
        if isinstance(line, Option) and _SECRETS.fullmatch(line.name)
        else line
        for line in body
    )
    if not iface.inherits:
        return replace(iface, body=kept)
    return Iface(iface.name, definition.family, definition.method, body=kept)
