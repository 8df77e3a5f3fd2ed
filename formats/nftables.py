"""
nftables' rules: their meaning from ``nft``'s JSON, their text from its listing.

Source: libnftables-json(5), nft(8) with ``-a``; nft 1.0.6 and 1.1.3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_HANDLE = re.compile(r"(.*?)\s*# handle (\d+)$")
_TABLE = re.compile(r"table (\w+) (\S+) \{")
_DORMANT = re.compile(
    r"^table (\w+) (\S+) \{[^\n]*\n(?:\t[^\t\n]*\n)*?\tflags [^\n]*\bdormant\b", re.M
)
_CHAIN = re.compile(r"\tchain (\S+) \{")
_DEVICES = re.compile(r"hook \w+ devices? (?:= )?(?:\{([^}]*)\}|(\S+))")


@dataclass(frozen=True)
class Rule:
    """
    A rule.

    + text: as it is typed
    + expressions: its matches and statements, as JSON
    """

    text: str
    expressions: Sequence[Mapping[str, Any]]


@dataclass
class Chain:
    """
    A chain.

    + hook: None: a chain that others jump to
    + kind: "filter", "nat", "route"
    + devices: of a hook for devices; None: unknown
    """

    hook: str | None
    kind: str
    priority: int
    policy: str
    devices: list[str] | None
    rules: list[Rule] = field(default_factory=list)


@dataclass
class Table:
    """
    A table.

    + chains: by name
    + sets: elements by the set's name; those of a map are pairs of key and value
    """

    chains: dict[str, Chain] = field(default_factory=dict)
    sets: dict[str, list[Any]] = field(default_factory=dict)


def parse_ruleset(ruleset: str, listing: str) -> dict[tuple[str, str], Table]:
    """
    Read all tables by family and name; dormant ones, whose chains see no packet, are left out.

    + ruleset: what ``nft -j list ruleset`` prints
    + listing: what ``nft -a list ruleset`` prints; without it a rule's text is its handle
    + raises ``ValueError``
    """
    texts, devices = _texts(listing)
    asleep = set(_DORMANT.findall(listing))
    tables: dict[tuple[str, str], Table] = {}
    try:
        for entry in json.loads(ruleset)["nftables"]:
            ((kind, data),) = entry.items()
            if kind == "table":
                tables[data["family"], data["name"]] = Table()
                if "dormant" in data.get("flags", ()):  # nft 1.0.6 has it in the listing only
                    asleep.add((data["family"], data["name"]))
            elif kind in ("set", "map"):
                elements = data.get("elem", [])
                tables[data["family"], data["table"]].sets[data["name"]] = elements
            elif kind == "chain":
                place = data["family"], data["table"], data["name"]
                tables[place[:2]].chains[place[2]] = _chain(data, devices.get(place))
            elif kind == "rule":
                text = texts.get((data["family"], data["table"], str(data["handle"])))
                chain = tables[data["family"], data["table"]].chains[data["chain"]]
                chain.rules.append(Rule(text or f"handle {data['handle']}", data["expr"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"nft's list is not understood: {error!r}") from error
    return {place: table for place, table in tables.items() if place not in asleep}


def _chain(data: Mapping[str, Any], listed: list[str] | None) -> Chain:
    device = data.get("dev")
    return Chain(
        hook=data.get("hook"),
        kind=data.get("type", "filter"),
        priority=int(data.get("prio", 0)),
        policy=data.get("policy", "accept"),
        devices=listed if device is None else [device] if isinstance(device, str) else device,
    )


def _texts(
    listing: str,
) -> tuple[dict[tuple[str, str, str], str], dict[tuple[str, str, str], list[str]]]:
    """Read each rule's text, by family, table and handle, and each chain's devices."""
    texts: dict[tuple[str, str, str], str] = {}
    devices: dict[tuple[str, str, str], list[str]] = {}
    family = table = chain = ""
    lines: list[str] = []  # of a rule: a long set takes several
    for line in listing.splitlines():
        opened = _TABLE.match(line)
        entered = _CHAIN.match(line)
        on = _DEVICES.search(line)
        if opened:
            family, table = opened.groups()
        elif entered:
            chain, lines = entered[1], []
        elif line.startswith("\t\ttype ") and " hook " in line:
            if on:
                names = re.split(r"[,\s]+", (on[1] or on[2]).strip())
                devices[family, table, chain] = [name.strip('";') for name in names]
        elif line.startswith("\t\t"):
            lines.append(line.strip())
            ended = _HANDLE.match(" ".join(lines))
            if ended:
                texts[family, table, ended[2]] = ended[1]
                lines = []
    return texts, devices
