"""
Matches and targets of iptables rules, with their options: what they are, and how one that is known
becomes canonical.

Source: iptables-extensions(8).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from formats.iptables_words import RuleError, quote


@dataclass(frozen=True)
class Option:
    """``--dport 22``, or ``! --dport 22`` when negated."""

    name: str
    values: tuple[str, ...] = ()
    negated: bool = False

    def __str__(self) -> str:
        words = " ".join([self.name, *map(quote, self.values)])
        return f"! {words}" if self.negated else words


@dataclass(frozen=True)
class Extension:
    """A match (``tcp``) or a target (``ACCEPT``, or a chain's name) with its options."""

    name: str
    options: tuple[Option, ...] = ()

    def __str__(self) -> str:
        return " ".join([quote(self.name), *map(str, self.options)])


Canonical = Callable[[Option], Option | None]


@dataclass(frozen=True)
class Known:
    """
    One extension.

    ``options`` says how each becomes canonical, ``two`` are the options with two values and
    ``none`` those without; ``keeps_count`` marks a match whose place among the others matters,
    because it counts or remembers the packets that reach it.
    """

    options: Mapping[str, Canonical]
    aliases: Mapping[str, str] = field(default_factory=dict)
    two: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    keeps_count: bool = False

    def arity(self, option: str) -> int:
        return 2 if option in self.two else 0 if option in self.none else 1

    def names(self) -> dict[str, str]:
        """What may be typed, and the option's own name for it."""
        return {**{name: name for name in self.options}, **self.aliases}


def canonical(extension: Extension, known: Known | None) -> Extension:
    """
    The same match or target, as equal for all who mean the same by it.

    Options of a known one are put in order by name; an unknown one is left as it is.
    """

    if known is None:
        return extension
    found = []
    for option in extension.options:
        if option.name not in known.options:
            raise RuleError(f"{option.name} is no option of {extension.name}")
        if len(option.values) != known.arity(option.name):
            raise RuleError(f"{option} has {len(option.values)} values")
        found.append(known.options[option.name](option))
    kept = [option for option in found if option is not None]
    return Extension(extension.name, tuple(sorted(kept, key=lambda o: (o.name, o.values))))
