"""
nftables' rules as ``nft`` lists them: JSON for their meaning, the listing for their words.

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
    + text: as it is typed
    + expressions: its matches and statements, as JSON
    """

    text: str
    expressions: Sequence[Mapping[str, Any]]


@dataclass
class Chain:
    """
    + hook: None: a chain that others jump to
    + kind: "filter", "nat", "route"
    + devices: of a hook that belongs to devices; None: not said
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
    + chains: by name
    + sets: by name, the elements of sets; of maps, pairs of key and value
    """

    chains: dict[str, Chain] = field(default_factory=dict)
    sets: dict[str, list[Any]] = field(default_factory=dict)


def parse_ruleset(ruleset: str, listing: str) -> dict[tuple[str, str], Table]:
    """
    All tables by family and name, save for dormant ones, whose chains see no packet.

    + ruleset: what ``nft -j list ruleset`` prints
    + listing: what ``nft -a list ruleset`` prints; without it rules have a handle for a text

    ``ValueError`` when it is not that.
    """

    texts, devices = _texts(listing)
    asleep = set(_DORMANT.findall(listing))
    tables: dict[tuple[str, str], Table] = {}
    try:
        for entry in json.loads(ruleset)["nftables"]:
            ((kind, thing),) = entry.items()
            if kind == "table":
                tables[thing["family"], thing["name"]] = Table()
                if "dormant" in thing.get("flags", ()):  # of nft 1.0.6 the listing alone says it
                    asleep.add((thing["family"], thing["name"]))
            elif kind in ("set", "map"):
                elements = thing.get("elem", [])
                tables[thing["family"], thing["table"]].sets[thing["name"]] = elements
            elif kind == "chain":
                place = thing["family"], thing["table"], thing["name"]
                tables[place[:2]].chains[place[2]] = _chain(thing, devices.get(place))
            elif kind == "rule":
                text = texts.get((thing["family"], thing["table"], str(thing["handle"])))
                chain = tables[thing["family"], thing["table"]].chains[thing["chain"]]
                chain.rules.append(Rule(text or f"handle {thing['handle']}", thing["expr"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"nft's list is not understood: {error!r}") from error
    return {place: table for place, table in tables.items() if place not in asleep}


def _chain(thing: Mapping[str, Any], listed: list[str] | None) -> Chain:
    device = thing.get("dev")
    return Chain(
        hook=thing.get("hook"),
        kind=thing.get("type", "filter"),
        priority=int(thing.get("prio", 0)),
        policy=thing.get("policy", "accept"),
        devices=listed if device is None else [device] if isinstance(device, str) else device,
    )


def _texts(
    listing: str,
) -> tuple[dict[tuple[str, str, str], str], dict[tuple[str, str, str], list[str]]]:
    """Of each rule, by family, table and handle, its text; of each chain its devices."""
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
