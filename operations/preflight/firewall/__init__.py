"""
Whether the firewall of a node lets pass what the nodes of a cluster say to each other.

The rules are walked through in their order, in all tables and chains of iptables and of nftables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from operations.preflight.firewall.chains import BaseChain, Place, walk
from operations.preflight.firewall.flows import Site, Trip, needed
from operations.preflight.firewall.remedies import commands

_SHOWN = 3  # flows of a rule, rules of a node


@dataclass(frozen=True)
class Judgement:
    """
    + dropped: in words, what is dropped, and by which rule
    + remedy: the command that lets it pass; empty when nothing is dropped
    + unsure: in words, what may be dropped, and by which rule
    """

    dropped: str
    remedy: str
    unsure: str


def judge(chains: Iterable[BaseChain], site: Site) -> Judgement:
    """
    What becomes of all that has to pass.

    + chains: of the node
    """

    chains = list(chains)
    dropped: dict[Place, dict[str, bool]] = {}
    unsure: dict[Place, dict[str, bool]] = {}
    cases: list[tuple[Trip, Place]] = []
    for flow in needed(site):
        for trip in flow.trips:
            outcome = walk(chains, trip.stages)
            cases += [(trip, place) for place in outcome.drops]
            for place in outcome.drops:
                dropped.setdefault(place, {}).setdefault(flow.words, trip.reply)
            for place in outcome.doubts if flow.certain and not outcome.drops else ():
                unsure.setdefault(place, {}).setdefault(flow.words, trip.reply)
    return Judgement(_words(dropped), " && ".join(commands(cases, site)), _words(unsure))


def _words(found: Mapping[Place, Mapping[str, bool]]) -> str:
    said = []
    for place, flows in found.items():
        names = [f"{'the answer to ' * reply}{flow}" for flow, reply in flows.items()]
        said.append(f"{_place(place)} drops {_list(names, ', ', ' and')}")
    return _list(said, "; ", "; and")


def _list(words: Sequence[str], between: str, last: str) -> str:
    shown = between.join(words[:_SHOWN])
    return shown + (f"{last} {len(words) - _SHOWN} more" if len(words) > _SHOWN else "")


def _place(place: Place) -> str:
    base = place.base
    table = f"{base.family} {base.table}" if base.program == "nft" else base.table
    if place.rule is None:
        return f"the policy of {place.chain} ({base.program}, table {table})"
    return f"`{place.rule.text}` ({base.program}, table {table}, chain {place.chain})"
