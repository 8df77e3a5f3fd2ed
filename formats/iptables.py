"""
iptables: what iptables-save prints, and the chains of its own that bramble keeps its rules in.

A rule for a built-in chain is put into an own chain, ``BRAMBLE-FORWARD`` for ``FORWARD``, and the
built-in chain has one jump to it, at its top. Nothing else in the tables is bramble's.

iptables prints a rule otherwise than it was typed (``ssh`` is 22, ``-s a,b`` two rules). So the
rules are tried in a network namespace without other rules (``trial``), and what iptables-save
prints of them there is compared with the live rules (``parse_trial``, ``repair``).

Sources: iptables-save(8), iptables-restore(8); ``add_param_to_argv`` and ``xtables_save_string`` of
iptables 1.8 for the quotes; tried against 1.8.9 and 1.8.11, legacy and nft. With ``--noflush`` a
declared chain (``:CHAIN - [0:0]``) is emptied and filled in one step, and others are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from messages.formats import RULE_REFUSED

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
    """
    A rule that iptables refuses, or that is not one rule of one chain.

    + rule: as it was typed
    + reason: in one line
    """

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(RULE_REFUSED(rule=repr(rule), reason=reason))


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
    """Read what iptables-save prints, with or without counters."""
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
    """Read the tables with rules that only nft can express: iptables-save leaves them out."""
    return _INCOMPATIBLE.findall(text)


def holds_rules(tables: Tables) -> list[str]:
    """Find the tables that have a rule, a chain or a policy."""
    return [
        name
        for name, table in tables.items()
        if any(table.rules.values()) or any(p != "ACCEPT" for p in table.chains.values())
    ]


def words(rule: str) -> list[str]:
    """
    Split a printed rule into words, without quotes and backslashes.

    + rule: a line of iptables-save: ``-A INPUT -m comment --comment "a b" -j DROP``
    """
    found = _PRINTED.finditer(rule)
    return [
        bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        for quoted, bare in (match.groups() for match in found)
    ]


def quote(word: str) -> str:
    """Quote a word for iptables-restore."""
    if _PLAIN.fullmatch(word):
        return word
    escaped = re.sub(r'(["\\])', r"\\\1", word)
    return f'"{escaped}"'


# --- own chains -----------------------------------------------------------------------------------

_LONGEST = 28  # characters of a chain's name
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|\\(.)|([^ \t"\'\\]+)')
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_ESCAPED = re.compile(r'\\(["\\\'$`])')
_ATTACHED = re.compile(r"(-[Atsdiopmjg])([^-=].*)")
_TO_CHAIN = re.compile(r" -[jg] (\S+)$")
_ENDS_IT = ("ACCEPT", "DROP", "REJECT", "RETURN", "MASQUERADE", "SNAT", "DNAT", "REDIRECT")
_NOISE = re.compile(
    r"(\S+-restore( v\S+ \(\w+\))?: *)?(line \d+:? )?(Error occurred at .*|Try `.*)?"
)
Place = tuple[str, str]  # table and built-in chain
_PLACES: list[Place] = sorted((table, chain) for table in CHAINS for chain in CHAINS[table])


@dataclass(frozen=True)
class Rule:
    """
    One rule as a person types it.

    + text: the whole of it
    + body: what comes after table and chain, for iptables-restore
    """

    text: str
    table: str
    chain: str
    body: str

    @classmethod
    def parse(cls, text: str) -> Rule:
        """
        Read table and chain from a rule's words; iptables judges the others (``parse_trial``).

        + text: ``-A CHAIN …``, with ``-t TABLE`` for another than filter, as a shell reads it

        + raises ``RuleError``: it can't be one line of one chain
        """
        try:
            return cls(text, *_parts(_split(text)))
        except _Malformed as error:
            raise RuleError(text, str(error)) from None

    @property
    def place(self) -> Place:
        return self.table, self.chain


class OwnChains:
    """
    The desired rules of bramble's own chains.

    + printed: what iptables-save prints of each chain's rules, known after ``parse_trial``
    """

    def __init__(self, prefix: str, rules: Iterable[str]) -> None:
        """
        + prefix: of the own chains' names
        + rules: for built-in chains, in order
        + raises ``RuleError``
        """
        self.prefix = prefix
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", prefix) or len(self.name("POSTROUTING")) > _LONGEST:
            raise ValueError(f"{prefix!r} is not a prefix: A-Z, then up to 15 of A-Z, 0-9 and _")
        self.rules = [Rule.parse(text) for text in rules]
        self.desired: dict[Place, list[str]] = {}
        for rule in self.rules:
            line = f"-A {self.name(rule.chain)} {rule.body}".rstrip()
            self.desired.setdefault(rule.place, []).append(line)
        self.printed: dict[Place, list[str]] = {}

    def name(self, built_in: str) -> str:
        """``FORWARD`` → ``BRAMBLE-FORWARD``."""
        return f"{self.prefix}-{built_in}"

    def jump(self, built_in: str) -> str:
        """Write the jump to an own chain, as iptables-save prints it."""
        return f"-A {built_in} -j {self.name(built_in)}"

    def trial(self) -> str:
        """
        Write the rules for ``iptables-restore --noflush`` in a namespace without other rules.

        Each is a transaction of its own, in the built-in chain that was named (not every match
        works in each chain), and followed by a jump to the own chain: what is printed before that
        jump is what the rule became.
        """
        return "".join(
            f"*{rule.table}\n:{self.name(rule.chain)} - [0:0]\n"
            f"-A {rule.chain} {rule.body}\n{self._end(rule.chain)}\nCOMMIT\n"
            for rule in self.rules
        )

    def parse_trial(self, saved: str, said: str) -> None:
        """
        Parse how iptables prints the rules.

        + saved: what iptables-save prints after the trial
        + said: the output of iptables-restore, which ends at the first rule that it refuses
        + raises ``RuleError``: iptables refuses a rule
        """
        tables, own = parse_save(saved), {self.name(c) for cs in CHAINS.values() for c in cs}
        rest = {place: self._became(tables, place) for place in self.desired}
        self.printed = {place: [] for place in self.desired}
        for rule in self.rules:
            lines = next(rest[rule.place], None)
            why = _own_words(said) if lines is None else ""
            if lines and any(_target(line) in own for line in lines):
                why = "its target is a chain that bramble fills: jump to another one"
            if not lines or why:
                raise RuleError(rule.text, why or "it adds no rule: remove -6, -h or -V")
            start = len(f"-A {rule.chain}")
            self.printed[rule.place] += [
                f"-A {self.name(rule.chain)}{line[start:]}" for line in lines
            ]

    def _end(self, built_in: str) -> str:
        return f"-A {built_in} -g {self.name(built_in)}"

    def _became(self, tables: Tables, place: Place) -> Iterator[list[str]]:
        """Read the lines that each rule of a chain became in the trial."""
        table, chain = place
        lines: list[str] = []
        for line in tables.get(table, Table()).rules.get(chain, []):
            if line == self._end(chain):
                yield lines
                lines = []
            else:
                lines.append(line)

    def restore_file(self) -> str:
        """Write all own chains for ``iptables-restore --noflush``; empty when there are none."""
        return _tables((place, self._fill(place)) for place in sorted(self.desired))

    def repair(self, live: Tables) -> str:
        """
        Write what changes the live tables to the desired ones, for ``iptables-restore --noflush``.

        Empty when nothing differs. A chain is refilled when its rules or their order differ, a jump
        is made when it is missing, doubled, or unreachable behind a rule that ends the chain; an
        own chain that is no longer desired is removed.
        """
        return _tables((place, self._mend(live, place)) for place in _PLACES)

    def show_desired(self) -> str:
        """Write the desired chains, for a person to compare with ``show_live``."""
        places = sorted(self.desired)
        jumps = [(place, [self.jump(place[1])]) for place in places]
        return _tables([*jumps, *((at, self.printed.get(at, self.desired[at])) for at in places)])

    def show_live(self, live: Tables) -> str:
        """Write the live own chains and the jumps to them."""
        jumps: list[tuple[Place, list[str]]] = []
        own: list[tuple[Place, list[str]]] = []
        for place in _PLACES:
            table, chain = live.get(place[0], Table()), place[1]
            for at, line in enumerate(rules := table.rules.get(chain, [])):
                if _target(line) == self.name(chain):
                    late = " (unreachable)" if any(map(_ends_chain, rules[:at])) else ""
                    jumps.append((place, [line + late]))
            own.append((place, table.rules.get(self.name(chain), [])))
        return _tables([*jumps, *own])

    def _fill(self, place: Place) -> list[str]:
        return [f":{self.name(place[1])} - [0:0]", *self.desired[place]]

    def _mend(self, live: Tables, place: Place) -> list[str]:
        table, chain = place
        own = self.name(chain)
        now = live.get(table, Table())
        if place not in self.desired:
            if own not in now.chains:
                return []
            users = [line for lines in now.rules.values() for line in lines if _target(line) == own]
            return [*("-D" + line[2:] for line in users), f"-F {own}", f"-X {own}"]
        same = own in now.chains and now.rules.get(own, []) == self.printed.get(place)
        lines = [] if same else self._fill(place)
        jump = self.jump(chain)
        built_in = now.rules.get(chain, [])
        count = built_in.count(jump)
        if count != 1 or any(map(_ends_chain, built_in[: built_in.index(jump)])):
            lines += ["-D" + jump[2:]] * count + [f"-I {chain} 1 -j {own}"]
        return lines


class _Malformed(Exception):
    """Why the words are not one rule of one chain."""


def _split(text: str) -> list[tuple[str, bool]]:
    """Split a rule into words as a shell does, each with whether any of it was quoted."""
    if _CONTROL.search(text.replace("\t", " ")):
        raise _Malformed("it has control characters, or is not UTF-8")
    found: list[tuple[str, bool]] = []
    position, end = 0, -1
    while position < len(text):
        if text[position] in " \t":
            position += 1
            continue
        piece = _WORD.match(text, position)
        if piece is None:
            raise _Malformed("a quote is not closed")
        double, single, escaped, bare = piece.groups()
        value = single or escaped or bare or "" if double is None else _ESCAPED.sub(r"\1", double)
        quoted = double is not None or single is not None
        if end == position:  # no space between: the same word goes on, as in --comment="a b"
            before, was_quoted = found.pop()
            value, quoted = before + value, quoted or was_quoted
        found.append((value, quoted))
        position = end = piece.end()
    return found


def _parts(typed: list[tuple[str, bool]]) -> tuple[str, str, str]:
    """Take table and chain out of a rule's words."""
    rest: list[tuple[str, bool]] = []
    for word, quoted in typed:  # iptables-restore does not read -ptcp
        attached = None if quoted else _ATTACHED.fullmatch(word)
        rest += [(part, False) for part in attached.groups()] if attached else [(word, quoted)]
    chain = _take(rest, "-A", "--append")
    table = _take(rest, "-t", "--table") or "filter"
    if chain is None:
        raise _Malformed("no -A CHAIN; the first rule of the list comes first")
    if table not in CHAINS:
        raise _Malformed(f"no table {table!r}, only {', '.join(CHAINS)}")
    if chain not in CHAINS[table]:
        raise _Malformed(
            f"{chain!r} is not a built-in chain of table {table}: {', '.join(CHAINS[table])}"
        )
    return table, chain, " ".join(quote(word) for word, _ in rest)


def _take(rest: list[tuple[str, bool]], short: str, long: str) -> str | None:
    """Take an option with its value out of the words; a quoted word is not an option."""
    for at, (word, quoted) in enumerate(rest):
        name, equals, value = word.partition("=")
        if not quoted and (word == short or (len(name) > 3 and long.startswith(name))):
            del rest[at]
            if not equals and at == len(rest):
                raise _Malformed(f"{word} has no value")
            return value if equals else rest.pop(at)[0]
    return None


def _own_words(said: str) -> str:
    """Read why iptables refuses a rule, without line numbers that mean nothing to a person."""
    lines = [_NOISE.sub("", line, count=1).strip() for line in said.split("\n")]
    found = "; ".join(line for line in lines if line)
    if "host/network" in found:
        found += " (at boot only names in /etc/hosts are known: give its address)"
    if found == "failed" or "_APPEND failed" in found:
        found += " (`sudo dmesg` may show the kernel's reason)"
    return f"iptables: {found}" if found else ""


def _target(line: str) -> str | None:
    """Read the chain to which a printed rule jumps: its last word, as it has no options."""
    found = _TO_CHAIN.search(line)
    return found[1] if found else None


def _ends_chain(line: str) -> bool:
    """Tell whether no packet gets past this printed rule."""
    rest = words(line)[2:]
    while rest[:3] == ["-m", "comment", "--comment"]:
        rest = rest[4:]
    return rest[:1] == ["-g"] or (rest[:1] == ["-j"] and rest[1] in _ENDS_IT)


def _tables(parts: Iterable[tuple[Place, list[str]]]) -> str:
    """Write the lines of each place, table by table."""
    tables: dict[str, list[str]] = {}
    for (table, _), lines in parts:
        tables.setdefault(table, []).extend(lines)
    filled = {name: tables[name] for name in sorted(tables) if tables[name]}
    return "".join("\n".join([f"*{name}", *filled[name], "COMMIT", ""]) for name in filled)
