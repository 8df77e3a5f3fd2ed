"""
What the rules of iptables and nftables ask of a packet, and how they change it.

A question returns True, False, or None: uncertain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from operations.preflight.firewall.packets import (
    MADE_UP,
    Answer,
    Packet,
    Span,
    both,
    either,
    inside,
    joined,
    opposite,
)

Match = Callable[[Packet], Answer]

PROTOCOLS = {"6": "tcp", "17": "udp", "112": "vrrp"}
ALL_BITS = (1 << 32) - 1


def always(packet: Packet) -> Answer:
    """Match every packet."""
    return True


def never(packet: Packet) -> Answer:
    """Match no packet of a cluster."""
    return False


def unsure(packet: Packet) -> Answer:
    """Stand for what is not evaluated here."""
    return None


def all_of(matches: Iterable[Match]) -> Match:
    """Match what all of these match."""
    listed = list(matches)
    return lambda packet: both(*(match(packet) for match in listed))


def any_of(matches: Iterable[Match]) -> Match:
    """Match what one of these matches."""
    listed = list(matches)
    return lambda packet: either(*(match(packet) for match in listed))


def unless(match: Match, negated: bool = True) -> Match:
    """Match what this one does not match, if negated."""
    return lambda packet: opposite(match(packet), negated)


def within(read: Callable[[Packet], Span | None], spans: Iterable[Span]) -> Match:
    """Match addresses or ports; all ranges together, as a packet's range may lie in several."""
    listed = joined(spans)
    return lambda packet: inside(read(packet), listed)


def protocol(name: str) -> Match:
    """Match "tcp", "6"."""
    return lambda packet: PROTOCOLS.get(name, name) == packet.protocol


def interface(read: Callable[[Packet], str | None], name: str, wildcard: str) -> Match:
    """Match an interface's name, which may end in a wildcard."""

    def match(packet: Packet) -> Answer:
        found = read(packet)
        if found is None:
            return True if name == wildcard else None
        return found.startswith(name[:-1]) if name.endswith(wildcard) else found == name

    return match


def state(name: str) -> Match:
    """Match a connection's state: "NEW"; SNAT and DNAT, which iptables has as well."""

    def match(packet: Packet) -> Answer:
        seen = packet.seen_state
        if seen is None or (name == "SNAT" and seen == "ESTABLISHED"):
            return None
        return seen == name  # DNAT is not evaluated

    return match


def flags(mask: Iterable[str], desired: Iterable[str]) -> Match:
    """Match the flags of TCP: of those in ``mask``, the desired ones and no others."""
    known, found = frozenset(mask), frozenset(desired)
    return lambda packet: None if packet.flags is None else packet.flags & known == found


def has_flag(name: str) -> Match:
    """Match packets with this flag of TCP."""
    return lambda packet: None if packet.flags is None else name in packet.flags


def mark(first: int, last: int, mask: int = ALL_BITS) -> Match:
    """Match the firewall mark, or some of its bits."""
    return lambda packet: None if packet.mark is None else first <= packet.mark & mask <= last


def local(read: Callable[[Packet], bool | None], kind: str) -> Match:
    """Match the type of an address: "local" for this node's own, "unicast" for another's."""

    def match(packet: Packet) -> Answer:
        own = read(packet)
        if own is None:
            return None if kind in ("local", "unicast") else False
        return kind == ("local" if own else "unicast")

    return match


def has_hardware(packet: Packet) -> Answer:
    """Match packets from outside, which have a sender's hardware address."""
    return packet.hardware != ""


def hardware(address: str) -> Match:
    """Match a sender's hardware address."""

    def match(packet: Packet) -> Answer:
        if packet.hardware == MADE_UP:  # it has the bit of locally administered addresses
            return None if int(address.split(":")[0], 16) & 2 else False
        return None if packet.hardware is None else packet.hardware == address.lower()

    return match


def packet_type(name: str) -> Match:
    """Match "unicast" or "host"; nothing of a cluster's is for all."""

    def match(packet: Packet) -> Answer:
        if name in ("broadcast", "multicast"):
            return False
        known = packet.in_interface not in ("", "lo", None)
        return True if known and name in ("unicast", "host") else None

    return match


def set_mark(packet: Packet, bits: int, mask: int = ALL_BITS) -> Packet:
    """Clear the bits of ``mask`` in the mark, then exclusive-or ``bits``."""
    if packet.mark is None and mask != ALL_BITS:
        return packet
    return replace(packet, mark=(packet.mark or 0) & ~mask & ALL_BITS ^ bits)


def untrack(packet: Packet) -> Packet:
    """Exempt a packet from conntrack, if conntrack has not run yet."""
    return packet if packet.tracked else replace(packet, state="UNTRACKED")


def translate_source(packet: Packet) -> Packet:
    """Change source address and maybe port, as SNAT does."""
    return replace(packet, source=None, sport=None)
