"""
Chains of rules, and the evaluation of a packet that traverses them.

Source: iptables(8), nft(8), the Netfilter hooks (linux/netfilter.h, nf_tables_core.c).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from operations.preflight.firewall.matches import Match, always
from operations.preflight.firewall.packets import Packet, merge

Hook = Literal["ingress", "prerouting", "input", "forward", "output", "postrouting", "egress"]
TRACKING = -200  # the priority at which conntrack looks up a packet's connection
_DEEP = 64  # nested jumps; the kernel allows 16


@dataclass(frozen=True)
class Effect:
    """A change of the packet after which evaluation continues: a mark, an address."""

    change: Callable[[Packet], Packet]


@dataclass(frozen=True)
class End:
    """
    What a rule does with a packet that it matches.

    + kind: "accept", "drop", "return" to the chain that led here, "jump", "goto", "continue";
      "unknown": one of accept, drop, continue; "redirect": sent to another node or port
    + chain: of a jump or goto
    """

    kind: str
    chain: str = ""


@dataclass(frozen=True)
class Choice:
    """A verdict map: the first case that matches."""

    cases: Sequence[tuple[Match, End]]


Step = Match | Effect | End | Choice


@dataclass(frozen=True, eq=False)
class Rule:
    """
    + text: as its program lists it
    + steps: in order; a match that fails ends the rule
    """

    text: str
    steps: Sequence[Step]


@dataclass(frozen=True)
class BaseChain:
    """
    A chain that the kernel calls at a hook, with the chains that it can jump to.

    + program: the program that lists and changes its rules: "nft", "iptables",
      "iptables-legacy", "iptables-nft"
    + family, table, name: its place in the ruleset
    + hook, priority: its place on a packet's way
    + nat: whether only the first packet of a connection traverses it
    + policy: the verdict on packets that no rule decides on: "accept" or "drop"
    + rules: by chain, of the whole table
    + devices: of ingress and egress; None: not known
    """

    program: str
    family: str
    table: str
    name: str
    hook: Hook
    priority: int
    policy: str
    rules: Mapping[str, Sequence[Rule]] = field(repr=False, compare=False)
    nat: bool = False
    devices: Sequence[str] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Place:
    """
    Where a packet is dropped, or may be dropped.

    + base: the base chain
    + chain: the chain with the rule, of the same table
    + rule: None: the policy
    + packet: as it came to the base chain
    """

    base: BaseChain
    chain: str
    rule: Rule | None
    packet: Packet = field(compare=False)


@dataclass(frozen=True)
class _Result:
    """The possible verdicts on a packet; None for those that are impossible."""

    accepted: Packet | None = None
    returned: Packet | None = None
    going: Packet | None = None  # to the next rule
    dropped: tuple[str, Rule] | None = None  # by which rule of which chain

    @property
    def is_undecided(self) -> bool:
        """Whether the packet can only go on."""
        return (self.accepted, self.returned, self.dropped) == (None, None, None)

    def either(self, other: _Result) -> _Result:
        """The verdicts that one of two evaluations gives."""
        return _Result(
            merge(self.accepted, other.accepted),
            merge(self.returned, other.returned),
            merge(self.going, other.going),
            other.dropped or self.dropped,
        )


@dataclass(frozen=True)
class Stage:
    """
    A hook on a packet's way.

    + packet: at this hook; its mark and state are carried over from the previous stage
    + low, high: the priorities of the chains that see it like that
    + family: of the chains: "ip" (and inet), or "bridge"
    """

    hook: Hook
    packet: Packet
    low: float = float("-inf")
    high: float = float("inf")
    family: str = "ip"


@dataclass(frozen=True)
class Outcome:
    """
    + drops: where the packet is certainly dropped, at most one place per base chain
    + doubts: where it may be
    """

    drops: Sequence[Place]
    doubts: Sequence[Place]


def walk(chains: Iterable[BaseChain], stages: Iterable[Stage]) -> Outcome:
    """
    Evaluate a packet on its way through the hooks.

    After a base chain that drops it, evaluation continues as if that chain had accepted it, so that
    all places are found at once.
    """
    by_hook: dict[Hook, list[BaseChain]] = {}
    for chain in sorted(chains, key=lambda chain: chain.priority):
        by_hook.setdefault(chain.hook, []).append(chain)
    drops: list[Place] = []
    doubts: list[Place] = []
    carried: Packet | None = None
    for stage in stages:
        packet = stage.packet
        if carried is not None and (carried.mark, carried.state) != (packet.mark, packet.state):
            packet = replace(packet, mark=carried.mark, state=carried.state)
        if stage.family == "bridge":  # where conntrack may not have run
            packet = replace(packet, state=None)
        for base in by_hook.get(stage.hook, ()):
            if not _is_on_way(base, stage) or (base.nat and packet.state != "NEW"):
                continue
            early = stage.hook == "ingress" or (
                stage.hook in ("prerouting", "output") and base.priority < TRACKING
            )
            tracked = packet.in_interface == "lo" or not early
            entering = packet if packet.tracked is tracked else replace(packet, tracked=tracked)
            accepted, place = _through(base, entering)
            if place is not None and accepted is None:
                drops.append(place)
            elif place is not None:
                doubts.append(place)
            if accepted is not None:
                packet = accepted
            if packet.redirected:
                return Outcome(drops, doubts)
        if stage.family != "bridge":
            carried = packet
    return Outcome(drops, doubts)


def _is_on_way(base: BaseChain, stage: Stage) -> bool:
    if not stage.low <= base.priority <= stage.high:
        return False
    if base.family == "netdev" or base.hook in ("ingress", "egress"):
        packet = stage.packet
        name = packet.in_interface if base.hook == "ingress" else packet.out_interface
        return base.devices is None or name in base.devices
    return base.family == stage.family or (base.family == "inet" and stage.family == "ip")


def _through(base: BaseChain, packet: Packet) -> tuple[Packet | None, Place | None]:
    """The packet as a base chain may accept it, and where it may be dropped."""
    result = _chain(base, base.name, packet, 0)
    accepted = result.accepted
    place = Place(base, *result.dropped, packet) if result.dropped else None
    if base.policy == "accept":
        accepted = merge(accepted, result.returned)
    elif result.returned is not None:
        place = Place(base, base.name, None, packet)
    if base.hook in ("ingress", "egress") and base.devices is None:
        accepted = merge(accepted, packet)  # the chain may be on another interface
    return accepted, place


def _chain(base: BaseChain, name: str, packet: Packet, depth: int) -> _Result:
    """Evaluate a chain; ``going`` is None, as the end of a chain is a return."""
    rules = base.rules.get(name)
    if rules is None or depth > _DEEP:
        rules = [Rule(f"(the chain {name})", [End("unknown")])]
    found = _Result(going=packet)
    for rule in rules:
        if found.going is None:
            break
        result = _rule(base, name, rule, found.going, depth)
        if result.going is found.going and result.is_undecided:
            continue
        found = _Result(found.accepted, found.returned, None, found.dropped).either(result)
    return _Result(found.accepted, merge(found.returned, found.going), None, found.dropped)


def _rule(base: BaseChain, name: str, rule: Rule, packet: Packet, depth: int) -> _Result:
    skipping: Packet | None = None  # the packet if a match that may fail does so
    for step in rule.steps:
        if isinstance(step, Effect):
            packet = step.change(packet)
        elif isinstance(step, End | Choice):
            cases = [(always, step)] if isinstance(step, End) else step.cases
            result = _choose(base, name, rule, cases, packet, depth)
            if skipping is None:
                return result
            return replace(result, going=merge(skipping, result.going))
        else:
            answer = step(packet)
            if answer is not True:
                skipping = merge(skipping, packet)
            if answer is False:
                return _Result(going=skipping)
    return _Result(going=merge(skipping, packet))


def _choose(
    base: BaseChain,
    name: str,
    rule: Rule,
    cases: Iterable[tuple[Match, End]],
    packet: Packet,
    depth: int,
) -> _Result:
    found = _Result()
    for match, end in cases:
        answer = match(packet)
        if answer is not False:
            found = found.either(_end(base, name, rule, end, packet, depth))
        if answer is True:
            return found
    return found.either(_Result(going=packet))


def _end(base: BaseChain, name: str, rule: Rule, end: End, packet: Packet, depth: int) -> _Result:
    match end.kind:
        case "goto":
            return _chain(base, end.chain, packet, depth + 1)
        case "jump":
            result = _chain(base, end.chain, packet, depth + 1)
            return replace(result, returned=None, going=result.returned)
        case "accept":
            return _Result(accepted=packet)
        case "drop":
            return _Result(dropped=(name, rule))
        case "return":
            return _Result(returned=packet)
        case "continue":
            return _Result(going=packet)
        case "redirect":
            return _Result(accepted=replace(packet, redirected=True), dropped=(name, rule))
        case _:
            unknown = replace(packet, mark=None, state=None)
            return _Result(accepted=unknown, going=unknown, dropped=(name, rule))
