"""
What the words of an iptables command line belong to: the rule itself, a match or the target.

Source: ``do_parse`` in iptables 1.8's ``xshared.c`` (an option belongs to the extension loaded last
that has it; ``-p tcp`` loads its match when one of its options comes; names may be shortened).
"""

from __future__ import annotations

from typing import Any

from formats.iptables_extensions import Extension, Known, Option
from formats.iptables_known import MATCHES, PROTOCOLS, TARGETS
from formats.iptables_values import protocol
from formats.iptables_words import RuleError, Word

_BASE = {  # an option's long name, and how many words follow it
    **{"--append": 1, "--table": 1, "--source": 1, "--destination": 1, "--in-interface": 1},
    **{"--out-interface": 1, "--protocol": 1, "--match": 1, "--jump": 1, "--goto": 1},
    **{"--fragment": 0, "--ipv4": 0},
}
_SHORT = {
    **{"-A": "--append", "-t": "--table", "-s": "--source", "-d": "--destination"},
    **{"-i": "--in-interface", "-o": "--out-interface", "-p": "--protocol", "-m": "--match"},
    **{"-j": "--jump", "-g": "--goto", "-f": "--fragment", "-4": "--ipv4"},
}
_NAMES = {**{name: name for name in _BASE}, "--src": "--source", "--dst": "--destination"}
_FIELDS = {
    **{"--append": "chain", "--table": "table", "--source": "source"},
    **{"--destination": "destination", "--in-interface": "in_interface"},
    **{"--out-interface": "out_interface", "--protocol": "protocol"},
}
_NEGATABLE = set(_FIELDS.values()) - {"chain", "table"} | {"fragment"}
_Loaded = tuple[Known | None, list[Option]]


def read(words: list[Word], table: str) -> dict[str, Any]:
    """
    The fields of a ``formats.iptables.Rule`` that these words say.

    + words: with ``-A CHAIN`` among them
    + table: where no ``-t`` says it
    """

    reader = _Reader(words, table)
    negated = False
    while reader.words:
        word = reader.words.pop(0)
        if word.negates:
            negated = True
            continue
        if not word.is_option:
            raise RuleError(f"{word.text!r} belongs to no option")
        reader.option(word.text, negated)
        negated = False
    if negated:
        raise RuleError("nothing comes after its last '!'")
    if "chain" not in reader.fields:
        raise RuleError("it has no -A CHAIN")
    target = reader.target
    return {
        **reader.fields,
        "matches": tuple(Extension(name, tuple(options)) for name, options in reader.matches),
        "target": target and Extension(target[0], tuple(target[1])),
    }


class _Reader:
    def __init__(self, words: list[Word], table: str) -> None:
        self.words = list(words)
        self.fields: dict[str, Any] = {"table": table}
        self.target: tuple[str, list[Option]] | None = None
        self.matches: list[tuple[str, list[Option]]] = []
        self.loaded: list[_Loaded] = []  # the latest first

    def option(self, text: str, negated: bool) -> None:
        """Take an option and what belongs to it from the words."""
        if not text.startswith("--"):
            if text[:2] not in _SHORT:
                raise RuleError(f"{text} is no part of a rule: write it as -A CHAIN …")
            if len(text) > 2:  # -ptcp
                self.words.insert(0, Word(text[2:], quoted=True))
            return self._base(_SHORT[text[:2]], negated)
        name, equals, value = text.partition("=")
        if equals:
            self.words.insert(0, Word(value, quoted=True))
        return self._long(name, negated)

    def _long(self, name: str, negated: bool) -> None:
        """By its whole name wherever it is known, then by the beginning of it."""
        implied = self._implied()
        for exact in (True, False):
            if name in _NAMES:
                return self._base(_NAMES[name], negated)
            for known, options in self.loaded:
                found = known and _resolve(name, known.names(), exact)
                if known and found:
                    options.append(Option(found, self._take(name, known.arity(found)), negated))
                    return None
                if known is None and not exact:  # it may well have this option: we cannot know
                    options.append(Option(name, self._rest(), negated))
                    return None
            if implied and _resolve(name, MATCHES[implied].names(), exact):
                self._load_match(implied)
                return self._long(name, negated)
        base = _resolve(name, _NAMES, exact=False)
        if base is None:
            raise RuleError(f"{name} belongs to no -m, -j or -p before it")
        return self._base(base, negated)

    def _implied(self) -> str | None:
        """The match that -p brings along."""
        try:
            name = protocol(self.fields.get("protocol", ""))
        except RuleError:
            return None
        return name if name in PROTOCOLS else None

    def _base(self, name: str, negated: bool) -> None:
        value, *_ = *self._take(name, _BASE[name]), ""
        field = _FIELDS.get(name)
        if negated and (field or name[2:]) not in _NEGATABLE:
            raise RuleError(f"{name} cannot be negated")
        if field:
            if field in self.fields and field != "table":
                raise RuleError(f"{name} stands there twice")
            self.fields[field] = f"!{value}" if negated else value
        elif name == "--fragment":
            self.fields["fragment"] = not negated
        elif name == "--match":
            self._load_match(value)
        elif name in ("--jump", "--goto"):
            if self.target:
                raise RuleError("it has two targets")
            self.fields["goto"] = name == "--goto"
            self.target = (value, [])
            self.loaded.insert(0, (TARGETS.get(value), self.target[1]))

    def _load_match(self, name: str) -> None:
        self.matches.append((name, []))
        self.loaded.insert(0, (MATCHES.get(name), self.matches[-1][1]))

    def _take(self, option: str, count: int) -> tuple[str, ...]:
        taken, self.words = self.words[:count], self.words[count:]
        if len(taken) < count:
            raise RuleError(f"{option} wants a value")
        if any(word.negates for word in taken):
            raise RuleError(f"write '! {option} …', with the '!' before the option")
        return tuple(word.text for word in taken)

    def _rest(self) -> tuple[str, ...]:
        """The words up to the next option."""
        count = 0
        for word in self.words:
            if word.is_option or word.negates:
                break
            count += 1
        return self._take("", count)


def _resolve(name: str, names: dict[str, str], exact: bool) -> str | None:
    """An option by its name or an alias, or else by the beginning of only one of them."""
    if exact or name in names:
        return names.get(name)
    found = {full for typed, full in names.items() if typed.startswith(name)}
    return found.pop() if len(found) == 1 else None
