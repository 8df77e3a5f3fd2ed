"""
Own chains: what iptables-save says of them, and what iptables-restore has to be told.

A rule for a built-in chain is put into a chain of our own, ``BRAMBLE-FORWARD`` for ``FORWARD``,
and the built-in chain has one jump to it, at its top. Nothing else in the tables is ours.

Source: iptables-save(8) and iptables-restore(8). With ``--noflush`` a declared chain
(``:CHAIN - [0:0]``) is emptied and filled again in one step, and other chains are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from formats.iptables import CHAINS, Rule, Table, Tables
from formats.iptables_extensions import Extension
from formats.iptables_words import RuleError

_LONGEST = 28  # characters of a chain's name
_TO_CHAIN = re.compile(r" -[jg] (\S+)$")
_INCOMPATIBLE = re.compile(r"^# Table `([^']+)' is incompatible", re.MULTILINE)
_ENDS_IT = ("ACCEPT", "DROP", "REJECT", "RETURN", "MASQUERADE", "SNAT", "DNAT", "REDIRECT")


def incompatible(text: str) -> list[str]:
    """Tables that hold what only nft can express: iptables-save says so and leaves them out."""
    return _INCOMPATIBLE.findall(text)


def holds_rules(tables: Tables) -> list[str]:
    """The tables in which somebody has a rule, a chain or a policy."""
    return [
        name
        for name, table in tables.items()
        if any(table.rules.values()) or any(p != "ACCEPT" for p in table.chains.values())
    ]


class OwnChains:
    """The rules that shall be in our chains."""

    def __init__(self, prefix: str, rules: Iterable[Rule]) -> None:
        """
        + prefix: of the own chains' names
        + rules: for built-in chains, in order; ``RuleError`` when one of them is wrong
        """

        self.prefix = prefix
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", prefix) or len(self.name("POSTROUTING")) > _LONGEST:
            raise RuleError(f"{prefix!r} is no prefix: up to 16 of A-Z, 0-9 and _, a letter first")
        self.wanted: dict[tuple[str, str], list[Rule]] = {}
        for rule in rules:
            rule.check()
            own = replace(rule, chain=self.name(rule.chain))
            self.wanted.setdefault((rule.table, rule.chain), []).append(own)

    def name(self, built_in: str) -> str:
        """``FORWARD`` → ``BRAMBLE-FORWARD``."""
        return f"{self.prefix}-{built_in}"

    def jumps(self) -> list[Rule]:
        """One to each own chain."""
        return [self._jump(table, chain) for table, chain in sorted(self.wanted)]

    def _jump(self, table: str, chain: str) -> Rule:
        return Rule(table=table, chain=chain, target=Extension(self.name(chain)))

    def restore_file(self) -> str:
        """All own chains, for ``iptables-restore --noflush``; empty when there are none."""
        return _tables(
            (table, [line for chain in chains for line in self._fill(table, chain)])
            for table, chains in self._by_table(self.wanted)
        )

    def repair(self, live: Tables) -> str:
        """
        What turns the live tables into what is wanted, for ``iptables-restore --noflush``.

        Empty when nothing differs. A chain is filled anew when its rules differ in meaning or
        order, a jump made when it is missing, doubled, or out of reach behind a rule that ends
        the chain; an own chain that is not wanted any more goes.
        """

        places = [(table, chain) for table in CHAINS for chain in CHAINS[table]]
        return _tables(
            (table, [line for chain in chains for line in self._mend(live, table, chain)])
            for table, chains in self._by_table(places)
        )

    def show_wanted(self) -> str:
        """What is wanted, as a person compares it with ``show_live``."""
        return _tables(
            (
                table,
                [
                    *(str(self._jump(table, chain)) for chain in chains),
                    *(str(r) for chain in chains for r in _all(self.wanted[table, chain])),
                ],
            )
            for table, chains in self._by_table(self.wanted)
        )

    def show_live(self, live: Tables) -> str:
        """Our chains and the jumps to them, as they are."""
        shown = []
        for name in CHAINS:
            table = live.get(name, Table())
            built_in, own = [], []
            for chain in CHAINS[name]:
                for at, line in enumerate(table.rules.get(chain, [])):
                    if _target(line) == self.name(chain):
                        before = table.rules[chain][:at]
                        late = " (out of reach)" if any(map(_ends_chain, before)) else ""
                        built_in.append(_canonical_text(line) + late)
                own += [_canonical_text(line) for line in table.rules.get(self.name(chain), [])]
            shown.append((name, built_in + own))
        return _tables(shown)

    def _by_table(self, places: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
        chains: dict[str, list[str]] = {}
        for table, chain in sorted(places):
            chains.setdefault(table, []).append(chain)
        yield from chains.items()

    def _fill(self, table: str, chain: str) -> list[str]:
        return [f":{self.name(chain)} - [0:0]", *map(str, self.wanted[table, chain])]

    def _mend(self, live: Tables, table: str, chain: str) -> list[str]:
        own = self.name(chain)
        now = live.get(table, Table())
        if (table, chain) not in self.wanted:
            if own not in now.chains:
                return []
            users = [line for lines in now.rules.values() for line in lines if _target(line) == own]
            return [*("-D" + line[2:] for line in users), f"-F {own}", f"-X {own}"]
        wanted = self.wanted[table, chain]
        there = now.rules.get(own, [])
        lines = (
            [] if own in now.chains and _same(there, wanted, table) else self._fill(table, chain)
        )
        jump = str(self._jump(table, chain))
        built_in = now.rules.get(chain, [])
        count = built_in.count(jump)
        reached = count == 1 and not any(map(_ends_chain, built_in[: built_in.index(jump)]))
        if not reached:
            lines += ["-D" + jump[2:]] * count + [f"-I {chain} 1" + jump[len(f"-A {chain}") :]]
        return lines


def _all(rules: Iterable[Rule]) -> list[Rule]:
    return [found for rule in rules for found in rule.canonical()]


def _same(lines: Sequence[str], rules: Sequence[Rule], table: str) -> bool:
    try:
        return _all(Rule.parse(line, table) for line in lines) == _all(rules)
    except RuleError:  # a live rule that is none of those that we can write
        return False


def _canonical_text(line: str) -> str:
    try:
        return str(Rule.parse(line).canonical()[0])
    except RuleError:
        return line


def _target(line: str) -> str | None:
    """The chain to which a printed rule goes: its last word, as such a target has no options."""
    found = _TO_CHAIN.search(line)
    return found[1] if found else None


def _ends_chain(line: str) -> bool:
    """Whether no packet gets past this rule."""
    try:
        (rule,) = Rule.parse(line).canonical()
    except RuleError:
        return False
    if any(match.name != "comment" for match in rule.matches):
        return False
    bare = Rule(chain=rule.chain, matches=rule.matches, target=rule.target, goto=rule.goto)
    ends = rule.goto or (rule.target is not None and rule.target.name in _ENDS_IT)
    return rule == bare and ends


def _tables(tables: Iterable[tuple[str, list[str]]]) -> str:
    return "".join("\n".join([f"*{name}", *lines, "COMMIT", ""]) for name, lines in tables if lines)
