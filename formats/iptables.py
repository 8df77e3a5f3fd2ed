"""
iptables rules as data: parsed from the words one would type or from iptables-save, and compared
by what they mean.

``Rule.parse("-A FORWARD -i wlan0 -o eth0 -m state --state RELATED,ESTABLISHED -j ACCEPT")``

iptables prints a rule otherwise than it was typed: matches made explicit, names turned into
numbers, defaults filled in, ``-s a,b`` split in two. ``Rule.canonical`` brings both to one form.

Source: iptables(8), iptables-extensions(8), tried against iptables 1.8.9 and 1.8.11 (nft).
IPv4 only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product

from formats import iptables_values as values
from formats.iptables_extensions import Extension, canonical
from formats.iptables_known import MATCHES, PROTOCOLS, TARGETS
from formats.iptables_reader import read
from formats.iptables_words import RuleError, quote, split

CHAINS = {  # the built-in chains of each table
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "raw": ("PREROUTING", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}
_NO_WAY_IN = ("OUTPUT", "POSTROUTING")  # here a packet has no -i …
_NO_WAY_OUT = ("PREROUTING", "INPUT")  # … and here no -o
_ONLY_IN = {  # targets that the kernel takes in some chains only
    "MASQUERADE": ("nat", ("POSTROUTING",)),
    "SNAT": ("nat", ("POSTROUTING", "INPUT")),
    "DNAT": ("nat", ("PREROUTING", "OUTPUT")),
    "REDIRECT": ("nat", ("PREROUTING", "OUTPUT")),
    "REJECT": ("filter", CHAINS["filter"]),
}
_COUNTERS = re.compile(r"^\[\d+:\d+\] ")


@dataclass
class Table:
    """
    One table of iptables-save.

    + chains: each chain's policy, ``-`` for those that are not built in
    + rules: each chain's rules as printed (``-A CHAIN …``), in order
    """

    chains: dict[str, str] = field(default_factory=dict)
    rules: dict[str, list[str]] = field(default_factory=dict)


Tables = dict[str, Table]


def parse_save(text: str) -> Tables:
    """Read the tables that iptables-save, with or without counters, has printed."""
    tables: Tables = {}
    table = Table()
    for line in text.split("\n"):  # a comment may have characters that end a line elsewhere
        line = _COUNTERS.sub("", line)
        if line.startswith("*"):
            table = tables.setdefault(line[1:], Table())
        elif line.startswith(":"):
            chain, policy, *_ = line[1:].split(" ")
            table.chains[chain] = policy
        elif line.startswith("-A "):
            table.rules.setdefault(line.split(" ")[1], []).append(line)
    return tables


def words(rule: str) -> list[str]:
    """
    The words of a printed rule, without quotes and backslashes.

    + rule: a line of iptables-save: ``-A INPUT -m comment --comment "a b" -j DROP``
    """

    return [word.text for word in split(rule)]


@dataclass(frozen=True)
class Rule:
    """
    One rule, as it was said.

    ``source``, ``destination``, ``in_interface``, ``out_interface`` and ``protocol`` begin with
    ``!`` when negated; ``matches`` keep their order; ``goto`` is ``-g`` in place of ``-j``.
    """

    chain: str
    table: str = "filter"
    source: str | None = None
    destination: str | None = None
    in_interface: str | None = None
    out_interface: str | None = None
    protocol: str | None = None
    fragment: bool | None = None
    matches: tuple[Extension, ...] = ()
    target: Extension | None = None
    goto: bool = False

    @classmethod
    def parse(cls, text: str, table: str = "filter") -> Rule:
        """
        The rule in these words; ``RuleError`` says what is wrong with them.

        + text: ``-A CHAIN …``, optionally with ``-t TABLE``; iptables-save's lines as well
        + table: where no ``-t`` says it
        """

        try:
            return cls(**read(split(text), table))
        except RuleError as error:
            raise RuleError(f"rule {text!r}: {error}") from None

    def canonical(self) -> tuple[Rule, ...]:
        """
        What the kernel makes of it: one rule, or several for ``-s a,b``, in their order.

        Two rules mean the same when their canonical forms are equal.
        """

        try:
            base = replace(
                self,
                in_interface=_plain(self.in_interface, values.interface),
                out_interface=_plain(self.out_interface, values.interface),
                protocol=_plain(self.protocol, values.protocol),
                matches=_in_order(_merged(canonical(m, MATCHES.get(m.name)) for m in self.matches)),
                target=self.target and canonical(self.target, TARGETS.get(self.target.name)),
            )
            hosts = product(_networks(self.source), _networks(self.destination))
            return tuple(replace(base, source=s, destination=d) for s, d in hosts)
        except RuleError as error:
            raise RuleError(f"rule '{self}': {error}") from None

    def check(self) -> None:
        """``RuleError`` unless it can stand in its built-in chain."""
        self.canonical()
        chains = CHAINS.get(self.table)
        why = None
        if chains is None:
            why = f"there is no table {self.table!r}: one of {', '.join(CHAINS)}"
        elif self.chain not in chains:
            why = f"{self.chain!r} is no built-in chain of table {self.table}: {', '.join(chains)}"
        elif self.in_interface and self.chain in _NO_WAY_IN:
            why = f"-i matches nothing in {self.chain}"
        elif self.out_interface and self.chain in _NO_WAY_OUT:
            why = f"-o matches nothing in {self.chain}"
        elif self.target and self.target.name in _ONLY_IN:
            table, allowed = _ONLY_IN[self.target.name]
            if self.table != table or self.chain not in allowed:
                why = f"{self.target.name} works only in table {table}, {' or '.join(allowed)}"
        if why:
            raise RuleError(f"rule '{self}': {why}")

    def __str__(self) -> str:
        """In the form that iptables-restore reads (the table stands above it there)."""
        words = ["-A", quote(self.chain)]
        for flag, value in (
            *(("-s", self.source), ("-d", self.destination), ("-i", self.in_interface)),
            *(("-o", self.out_interface), ("-p", self.protocol)),
        ):
            if value is not None:
                words += ["!"] * value.startswith("!") + [flag, quote(value.lstrip("! "))]
        if self.fragment is not None:
            words += ["-f"] if self.fragment else ["!", "-f"]
        words += [f"-m {match}" for match in self.matches]
        if self.target:
            words.append(f"{'-g' if self.goto else '-j'} {self.target}")
        return " ".join(words)


def _plain(value: str | None, to: Callable[[str], str | None]) -> str | None:
    if value is None:
        return None
    found = to(value.lstrip("! "))
    if not value.startswith("!"):
        return found
    if found is None:
        raise RuleError(f"'{value}' never matches")
    return f"!{found}"


def _networks(value: str | None) -> tuple[str | None, ...]:
    """``a,b`` is each of them by itself."""
    if value is None or "," not in value:
        return (_plain(value, values.address),)
    if value.startswith("!"):
        raise RuleError(f"'{value}': a list of addresses cannot be negated")
    return tuple(values.address(part) for part in value.split(","))


def _merged(matches: Iterator[Extension]) -> list[Extension]:
    """``-m tcp --sport 5 -m tcp --dport 6`` comes back as one; a bare ``-m tcp`` says nothing."""
    found: list[Extension] = []
    for match in matches:
        known = match.name in PROTOCOLS
        for index, other in enumerate(found if known else ()):
            names = {option.name for option in other.options}
            if other.name == match.name and not names & {option.name for option in match.options}:
                options = sorted((*other.options, *match.options), key=lambda o: (o.name, o.values))
                found[index] = Extension(match.name, tuple(options))
                break
        else:
            if match.options or not known:
                found.append(match)
    return found


def _in_order(matches: list[Extension]) -> tuple[Extension, ...]:
    """
    Matches that are all asked in any order, in one order.

    One that counts packets, or that is not known, keeps its place: what stands before it decides
    which packets it counts.
    """

    groups: list[list[Extension]] = [[]]
    for match in matches:
        known = MATCHES.get(match.name)
        if known is None or known.keeps_count:
            groups += [[match], []]
        else:
            groups[-1].append(match)
    return tuple(
        match for group in groups for match in sorted(group, key=lambda m: (m.name, str(m)))
    )
