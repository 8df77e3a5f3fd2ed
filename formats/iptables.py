"""
What iptables-save prints and iptables-restore reads: tables, chains, rules and their words.

What a rule means is for iptables to say: ``formats.iptables_chains`` has it asked.

Source: iptables-save(8), iptables-restore(8); ``add_param_to_argv`` and ``xtables_save_string`` of
iptables 1.8 for the quotes; tried against 1.8.9 and 1.8.11, legacy and nft.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

CHAINS = {  # the built-in chains of each table
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "raw": ("PREROUTING", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}
_COUNTERS = re.compile(r"^\[\d+:\d+\] ")
_INCOMPATIBLE = re.compile(r"^# Table `([^']+)' is incompatible", re.MULTILINE)
_PRINTED = re.compile(r'"((?:[^"\\]|\\.)*)"|([^ ]+)')
_PLAIN = re.compile(r"[\w./:,+=%@!-]+", re.ASCII)


class RuleError(ValueError):
    """A rule that iptables refuses, or that is not one rule; says why."""


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
            chain, _, policy = line[1:].partition(" ")
            table.chains[chain] = policy.partition(" ")[0]
        elif line.startswith("-A "):
            table.rules.setdefault(line.split(" ")[1], []).append(line)
    return tables


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


def words(rule: str) -> list[str]:
    """
    The words of a printed rule, without quotes and backslashes.

    + rule: a line of iptables-save: ``-A INPUT -m comment --comment "a b" -j DROP``
    """

    found = _PRINTED.finditer(rule)
    return [
        bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        for quoted, bare in (match.groups() for match in found)
    ]


def quote(word: str) -> str:
    """A word as iptables-restore reads it back."""
    if _PLAIN.fullmatch(word):
        return word
    escaped = re.sub(r'(["\\])', r"\\\1", word)
    return f'"{escaped}"'
