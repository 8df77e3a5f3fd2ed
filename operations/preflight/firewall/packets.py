"""
Packets as a firewall sees them, and comparisons with three results.

A value of a packet may be known only as a range (a port that the kernel chooses, an address
somewhere in the pod network) or not at all. A comparison returns True, False, or None: uncertain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import reduce
from ipaddress import IPv4Address, IPv4Network
from typing import Any

Span = tuple[int, int]  # from, to, both included
Answer = bool | None

# The client's port: the default of net.ipv4.ip_local_port_range.
CHOSEN_PORTS: Span = (32768, 60999)


# A random hardware address, such as those of pods.
MADE_UP = "made up"


@dataclass(frozen=True)
class Packet:
    """
    One packet at one hook; None stands for what is unknown.

    + protocol: "tcp", "udp" or "vrrp"
    + source, destination, sport, dport: as ranges
    + in_interface, out_interface: empty where a packet has none
    + state: of its connection: "NEW", "ESTABLISHED", "UNTRACKED"
    + tracked: whether conntrack has looked up its connection
    + flags: of TCP
    + hardware: the sender's hardware address (MAC); empty where there is none (lo); ``MADE_UP``
    + mark: the firewall mark
    + from_here, to_here: whether the address is one of this node
    + redirected: whether DNAT may have changed its destination
    """

    protocol: str
    source: Span | None
    destination: Span | None
    sport: Span | None
    dport: Span | None
    in_interface: str | None = ""
    out_interface: str | None = ""
    state: str | None = "NEW"
    tracked: bool = True
    flags: frozenset[str] | None = frozenset({"syn"})
    hardware: str | None = None
    mark: int | None = 0
    from_here: bool | None = False
    to_here: bool | None = False
    redirected: bool = False

    @property
    def seen_state(self) -> str | None:
        """The state that rules see: INVALID before conntrack."""
        return self.state if self.tracked or self.state in ("UNTRACKED", None) else "INVALID"


def merge(one: Packet | None, other: Packet | None) -> Packet | None:
    """A packet that is one of two: what differs is unknown."""
    if one is None or other is None or one == other:
        return one or other
    differing: dict[str, Any] = {
        each.name: None
        for each in fields(one)
        if each.name not in ("tracked", "redirected")
        and getattr(one, each.name) != getattr(other, each.name)
    }
    return replace(one, redirected=one.redirected or other.redirected, **differing)


def both(*answers: Answer) -> Answer:
    """Whether all answers are True."""
    if False in answers:
        return False
    return None if None in answers else True


def either(*answers: Answer) -> Answer:
    """Whether one answer is True."""
    if True in answers:
        return True
    return None if None in answers else False


def opposite(answer: Answer, negated: bool = True) -> Answer:
    """The negated answer."""
    return answer if answer is None or not negated else not answer


def joined(spans: Iterable[Span]) -> list[Span]:
    """Merge ranges that touch or overlap."""

    def add(found: list[Span], span: Span) -> list[Span]:
        if found and span[0] <= found[-1][1] + 1:
            return [*found[:-1], (found[-1][0], max(found[-1][1], span[1]))]
        return [*found, span]

    return reduce(add, sorted(spans), [])


def inside(value: Span | None, spans: Sequence[Span]) -> Answer:
    """Whether a number somewhere in a range is in one of ``spans`` (as ``joined`` returns them)."""
    if value is None:
        return None
    low, high = value
    if any(first <= low and high <= last for first, last in spans):
        return True
    return None if any(first <= high and low <= last for first, last in spans) else False


def network_span(network: str | IPv4Network) -> Span:
    """The range of a network or of one address; ``ValueError`` if it is neither."""
    found = IPv4Network(network, strict=False)
    return int(found.network_address), int(found.broadcast_address)


def address_span(first: str, last: str) -> Span:
    """The range from one address to another."""
    return int(IPv4Address(first)), int(IPv4Address(last))
