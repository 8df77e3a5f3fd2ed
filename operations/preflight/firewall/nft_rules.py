"""
Evaluate the rules of nftables.

Source: libnftables-json(5), nft(8). An unknown expression or statement is never ignored: its
result is uncertain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from formats import nftables
from operations.preflight.firewall import matches
from operations.preflight.firewall.chains import BaseChain, Choice, Effect, End, Hook, Rule, Step
from operations.preflight.firewall.matches import Match
from operations.preflight.firewall.packets import Packet, Span, address_span, network_span

_HOOKS = ("ingress", "prerouting", "input", "forward", "output", "postrouting", "egress")
_FAMILIES = ("ip", "inet", "netdev", "bridge")
_TRANSPARENT = ("counter", "log", "flow", "dup", "comment", "ct helper", "ct timeout", "last")
_ENDS = {
    **{kind: kind for kind in ("accept", "drop", "return", "continue")},
    "reject": "drop",
    **dict.fromkeys(("dnat", "redirect", "tproxy"), "redirect"),
}
# Protocols of other packets: a match on one of their fields fails.
_OTHERS = ("ip6", "icmp", "icmpv6", "igmp", "sctp", "dccp", "esp", "ah", "comp", "udplite", "arp")
_TOP = 1 << 32

Elements = Mapping[str, Sequence[Any]]  # of the named sets and maps of a table
Among = Callable[[Sequence[Any]], Match]  # makes the match for a field that is one of some values


@dataclass(frozen=True)
class _Field:
    """
    A field that a rule compares.

    + applies: whether the packet has the field; without it no comparison matches
    """

    among: Among
    applies: Match = matches.always

    def compared(self, elements: Iterable[Any], negated: bool = False) -> Match:
        """Match a packet that has one of these values, or, negated, another one."""
        values = [_value(each) for each in elements]
        found = matches.always if "*" in values else self.among(values)
        return matches.all_of([self.applies, matches.unless(found, negated)])


class _Unknown(Exception):
    """An expression that is not evaluated here."""


def base_chains(tables: Mapping[tuple[str, str], nftables.Table]) -> Iterator[BaseChain]:
    """Yield the base chains that an IPv4 packet can traverse."""
    for (family, table), found in tables.items():
        if family not in _FAMILIES:
            continue
        rules = {
            name: [_rule(rule, found.sets) for rule in chain.rules]
            for name, chain in found.chains.items()
        }
        for name, chain in found.chains.items():
            if chain.hook in _HOOKS:
                yield BaseChain(
                    program="nft",
                    family=family,
                    table=table,
                    name=name,
                    hook=cast(Hook, chain.hook),
                    priority=chain.priority,
                    policy=chain.policy,
                    rules=rules,
                    nat=chain.kind == "nat",
                    devices=chain.devices,
                )


def _rule(rule: nftables.Rule, sets: Elements) -> Rule:
    return Rule(rule.text, [step for each in rule.expressions for step in _steps(each, sets)])


def _steps(expression: Mapping[str, Any], sets: Elements) -> list[Step]:
    if not isinstance(expression, Mapping) or len(expression) != 1:
        return [matches.unsure, End("unknown")]
    ((kind, value),) = expression.items()
    steps: list[Step] | None = None
    try:
        steps = _known_steps(kind, value, sets)
    except (_Unknown, ValueError, LookupError, TypeError, AttributeError):
        if kind in ("match", "mangle"):
            steps = [matches.unsure if kind == "match" else Effect(_make_unknown)]
    if steps is None:
        steps = [matches.unsure, End("unknown")]
    return [*_implied(kind, value), *steps]


def _implied(kind: str, value: Any) -> Iterator[Match]:
    """The match that nft omits from its list, because the statement implies it."""
    if not isinstance(value, Mapping):
        return
    if value.get("type") == "tcp reset":
        yield matches.protocol("tcp")
    elif value.get("type") == "icmpv6" or (kind != "match" and value.get("family") == "ip6"):
        yield matches.never


def _known_steps(kind: str, value: Any, sets: Elements) -> list[Step] | None:
    if kind == "match":
        return [_comparison(value, sets)]
    if kind == "vmap":
        return [_verdict_map(value, sets)]
    if kind in ("jump", "goto"):
        return [End(kind, value["target"])]
    if kind in _ENDS:
        return [End(_ENDS[kind])]
    if kind in ("snat", "masquerade"):
        return [Effect(matches.translate_source), End("accept")]
    if kind == "notrack":
        return [Effect(matches.untrack)]
    if kind == "mangle":
        return [_change(value)]
    if kind in _TRANSPARENT:
        return []
    if kind in ("limit", "quota", "ct count", "set"):  # they match, or end the rule
        return [matches.unsure]
    return None


def _make_unknown(packet: Packet) -> Packet:
    """Make unknown what an unknown statement may have changed."""
    return replace(
        packet, source=None, destination=None, sport=None, dport=None, mark=None, flags=None
    )


def _comparison(match: Mapping[str, Any], sets: Elements) -> Match:
    operator, left, right = match["op"], match["left"], match["right"]
    if operator in ("<", ">", "<=", ">="):
        number = int(right)
        spans_of = {"<": (0, number - 1), "<=": (0, number), ">": (number + 1, _TOP)}
        operator, right = "==", {"range": [*spans_of.get(operator, (number, _TOP))]}
    one_value = operator in ("==", "!=")
    # Without a mask, all bits are compared, also those of ECN.
    unknown_bits = one_value and _name(left) == ("tcp", "flags")
    if operator not in ("==", "!=", "in", "!") or unknown_bits:
        raise _Unknown
    if not isinstance(right, list):
        elements = _elements(right, sets)
    elif one_value and "&" not in left:
        raise _Unknown
    else:  # all of these flags, or one of them
        elements = [right] if one_value else right
    return _field(left).compared(elements, operator in ("!=", "!"))


def _elements(right: Any, sets: Elements) -> list[Any]:
    if isinstance(right, Mapping) and "set" in right:
        return list(right["set"])
    if isinstance(right, str) and right.startswith("@"):
        return list(sets[right[1:]])
    return [right]


def _value(element: Any) -> Any:
    """An element without its timeout, comment or counter."""
    return element["elem"]["val"] if isinstance(element, Mapping) and "elem" in element else element


def _verdict_map(value: Mapping[str, Any], sets: Elements) -> Choice:
    field = _field(value["key"])
    cases: list[tuple[Match, End]] = []
    # The default case is evaluated last.
    for key, verdict in sorted(_elements(value["data"], sets), key=lambda pair: pair[0] == "*"):
        ((kind, target),) = verdict.items()
        end = End(kind, target["target"]) if kind in ("jump", "goto") else End(_ENDS[kind])
        cases.append((field.compared([key]), end))
    return Choice(cases)


def _name(left: Mapping[str, Any]) -> tuple[str, str]:
    """The name of a field: ("ip", "saddr"), ("meta", "iifname"), ("ct", "state")."""
    if len(left) != 1:
        raise _Unknown
    ((kind, value),) = left.items()
    if kind == "payload":
        return value.get("protocol", ""), value.get("field", "")
    if kind in ("meta", "ct"):
        return kind, value["key"] if "dir" not in value else ""
    return kind, ""


def _field(left: Mapping[str, Any]) -> _Field:
    kind, name = _name(left)
    if kind == "concat":
        return _several([_field(each) for each in left["concat"]])
    if kind == "&":
        return _masked_field(*left["&"])
    if kind == "fib":
        return _address_type(left["fib"])
    if kind in _OTHERS:
        return _Field(lambda values: matches.unsure, matches.never)
    if kind in ("tcp", "udp"):
        among = _FIELDS.get((kind, name)) or (lambda values: matches.unsure)
        return _Field(among, matches.protocol(kind))
    applies = matches.has_hardware if (kind, name) == ("ether", "saddr") else matches.always
    return _Field(_FIELDS[kind, name], applies)


def _each(match: Callable[[Any], Match], *kinds: type) -> Among:
    """Compare with one value after the other; those of other types are not evaluated."""
    return lambda values: matches.any_of(
        match(value) if isinstance(value, kinds) else matches.unsure for value in values
    )


def _number(read: Callable[[Packet], Span | None]) -> Among:
    return lambda values: matches.within(read, map(_span, values))


def _span(value: Any) -> Span:
    if isinstance(value, Mapping):
        if "prefix" in value:
            return network_span(f"{value['prefix']['addr']}/{value['prefix']['len']}")
        first, last = value["range"]
        if isinstance(first, int):
            return first, last
        return address_span(first, last)
    if isinstance(value, int):
        return value, value
    return network_span(value)


def _several(fields: Sequence[_Field]) -> _Field:
    def match(value: Mapping[str, Any]) -> Match:
        pairs = zip(fields, value["concat"], strict=True)
        return matches.all_of(field.compared([part]) for field, part in pairs)

    return _Field(_each(match, Mapping), matches.all_of(field.applies for field in fields))


def _masked_field(left: Mapping[str, Any], mask: Any) -> _Field:
    name = _name(left)
    if name == ("meta", "mark"):
        return _Field(_each(lambda value: _mark(value, int(mask)), object))
    if name == ("tcp", "flags"):
        known = _names(mask)
        if known & {"ecn", "cwr", "ece"}:  # which routers may change
            raise _Unknown
        among = _each(lambda value: matches.flags(known, _names(value)), object)
        return _Field(among, matches.protocol("tcp"))
    raise _Unknown


def _mark(value: Any, mask: int = matches.ALL_BITS) -> Match:
    first, last = value["range"] if isinstance(value, Mapping) else (int(value), int(value))
    return matches.mark(first, last, mask)


def _names(flags: Any) -> frozenset[str]:
    """Read flags, which are one name, a list, alternatives, or 0."""
    if isinstance(flags, str):
        return frozenset({flags})
    if isinstance(flags, Mapping):
        flags = flags["|"]
    if flags == 0:
        return frozenset()
    return frozenset(name for each in flags for name in _names(each))


def _state(value: str | Mapping[str, Any]) -> Match:
    if isinstance(value, str):
        return matches.state(value.upper())
    # A packet has one state, not several.
    return matches.never if len({*value.get("|", ())}) > 1 else matches.unsure


def _status(value: Any) -> Match:
    if value == "dnat":  # DNAT is not evaluated
        return matches.never
    return lambda packet: False if packet.state == "NEW" else None


def _interface(read: Callable[[Packet], str | None]) -> Among:
    """Compare with names; the index of a removed interface is not evaluated."""
    return _each(lambda name: matches.interface(read, name, "*"), str)


def _equals(*desired: str) -> Among:
    """Compare a field that has the same value in all packets here."""
    return _each(lambda value: matches.always if value in desired else matches.never, str)


def _address_type(fib: Mapping[str, Any]) -> _Field:
    flags = [fib["flags"]] if isinstance(fib["flags"], str) else fib["flags"]
    if fib["result"] != "type" or len(flags) != 1:
        raise _Unknown
    read = _LOCAL[flags[0]]
    return _Field(_each(lambda kind: matches.local(read, kind), str))


def _change(mangle: Mapping[str, Any]) -> Effect:
    kind, name = _name(mangle["key"])
    value = mangle["value"]
    if kind == "ct":
        return Effect(lambda packet: packet)
    if (kind, name) != ("meta", "mark"):
        # Fields such as DSCP or priority do not change where a packet goes.
        evaluated = name in ("saddr", "daddr", "sport", "dport", "protocol", "flags")
        return Effect(_make_unknown if evaluated or not name else lambda packet: packet)
    if isinstance(value, int):
        return Effect(lambda packet: matches.set_mark(packet, value))
    return Effect(lambda packet: replace(packet, mark=None))


_LOCAL: dict[str, Callable[[Packet], bool | None]] = {
    "saddr": lambda packet: packet.from_here,
    "daddr": lambda packet: packet.to_here,
}
_PROTOCOL = _each(lambda value: matches.protocol(str(value)), str, int)
_FIELDS: dict[tuple[str, str], Among] = {
    ("ip", "saddr"): _number(lambda packet: packet.source),
    ("ip", "daddr"): _number(lambda packet: packet.destination),
    **{(kind, "sport"): _number(lambda packet: packet.sport) for kind in ("tcp", "udp", "th")},
    **{(kind, "dport"): _number(lambda packet: packet.dport) for kind in ("tcp", "udp", "th")},
    ("tcp", "flags"): _each(matches.has_flag, str),
    ("ether", "saddr"): _each(matches.hardware, str),
    ("meta", "iifname"): _interface(lambda packet: packet.in_interface),
    ("meta", "iif"): _interface(lambda packet: packet.in_interface),
    ("meta", "oifname"): _interface(lambda packet: packet.out_interface),
    ("meta", "oif"): _interface(lambda packet: packet.out_interface),
    ("meta", "l4proto"): _PROTOCOL,
    ("ip", "protocol"): _PROTOCOL,
    ("ip", "version"): _each(lambda value: matches.always if value == 4 else matches.never, int),
    ("meta", "nfproto"): _equals("ipv4"),
    ("meta", "protocol"): _equals("ip"),
    ("ether", "type"): _equals("ip"),
    ("meta", "mark"): _each(_mark, object),
    ("meta", "pkttype"): _each(matches.packet_type, str),
    ("ct", "state"): _each(_state, str, Mapping),
    ("ct", "status"): _each(_status, object),
    ("ct", "l3proto"): _equals("ipv4"),
}
