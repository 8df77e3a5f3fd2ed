"""
Evaluate the rules of nftables.

Source: libnftables-json(5), nft(8). An unknown expression or statement is never ignored: its
result is uncertain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from formats import nftables
from operations.preflight.firewall.chains import (
    BaseChain,
    Choice,
    Effect,
    End,
    Hook,
    Match,
    Rule,
    Step,
)
from operations.preflight.firewall.iptables_rules import set_mark, translate_source, untrack
from operations.preflight.firewall.packets import (
    Answer,
    Packet,
    Span,
    address_span,
    both,
    either,
    inside,
    joined,
    network_span,
    opposite,
    same_hardware,
    same_interface,
)

_HOOKS = ("ingress", "prerouting", "input", "forward", "output", "postrouting", "egress")
_FAMILIES = ("ip", "inet", "netdev", "bridge")
_TRANSPARENT = ("counter", "log", "flow", "dup", "comment", "ct helper", "ct timeout", "last")
_ENDS = {
    "accept": End("accept"),
    "drop": End("drop"),
    "reject": End("drop"),
    "return": End("return"),
    "continue": End("continue"),
    "dnat": End("redirect"),
    "redirect": End("redirect"),
    "tproxy": End("redirect"),
}
_PROTOCOLS: dict[Any, str] = {6: "tcp", 17: "udp", "6": "tcp", "17": "udp"}
# Protocols of other packets: a match on one of their fields fails.
_OTHERS = ("ip6", "icmp", "icmpv6", "igmp", "sctp", "dccp", "esp", "ah", "comp", "udplite", "arp")
_OPERATORS = ("==", "!=", "in", "!")
_TOP = 1 << 32

Elements = Mapping[str, Sequence[Any]]  # of the named sets and maps of a table
Test = Callable[[Packet], Answer]


@dataclass(frozen=True)
class _Field:
    """
    A field that a rule compares.

    + matches: makes the test for one element of a set
    + applies: whether the packet has the field; without it no comparison matches
    """

    matches: Callable[[Any], Test]
    applies: Test = lambda packet: True


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
        return [_unknown, End("unknown")]
    ((kind, value),) = expression.items()
    test = _implied(kind, value)
    return [*([test] if test else []), *_plain_steps(kind, value, sets)]


def _implied(kind: str, value: Any) -> Match | None:
    """The match that nft omits from its list, because the statement implies it."""
    if not isinstance(value, Mapping):
        return None
    if value.get("type") == "tcp reset":
        return lambda packet: packet.protocol == "tcp"
    ipv6 = value.get("type") == "icmpv6" or (kind != "match" and value.get("family") == "ip6")
    return (lambda packet: False) if ipv6 else None


def _plain_steps(kind: str, value: Any, sets: Elements) -> list[Step]:
    try:
        if kind == "match":
            return [_comparison(value, sets)]
        if kind == "vmap":
            return [_verdict_map(value, sets)]
        if kind in ("jump", "goto"):
            return [End(kind, value["target"])]
        if kind in _ENDS:
            return [_ENDS[kind]]
        if kind in ("snat", "masquerade"):
            return [Effect(translate_source), End("accept")]
        if kind == "notrack":
            return [Effect(untrack)]
        if kind == "mangle":
            return [_change(value)]
    except (_Unknown, ValueError, LookupError, TypeError, AttributeError):
        if kind == "mangle":
            return [Effect(_make_unknown)]
        return [_unknown] if kind == "match" else [_unknown, End("unknown")]
    if kind in _TRANSPARENT:
        return []
    if kind in ("limit", "quota", "ct count", "set"):  # they match, or end the rule
        return [_unknown]
    return [_unknown, End("unknown")]


def _unknown(packet: Packet) -> Answer:
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
    if operator not in _OPERATORS:
        raise _Unknown
    field = _field(left)
    if _name(left) == ("tcp", "flags") and operator in ("==", "!="):
        raise _Unknown  # compares all bits, also those of ECN
    if isinstance(right, list) and operator in ("==", "!="):
        if "&" not in left:
            raise _Unknown
        tests = [field.matches(right)]
    elif isinstance(right, list):  # one of these flags
        tests = [field.matches(each) for each in right]
    else:
        tests = [field.matches(each) for each in _elements(right, sets)]
    negated = operator in ("!=", "!")
    spans = _spans_of(left, right, sets)

    def test(packet: Packet) -> Answer:
        if spans is not None:
            answer = inside(spans[0](packet), spans[1])
        else:
            answer = either(*(each(packet) for each in tests))
        # A packet without the field never matches.
        return both(field.applies(packet), opposite(answer, negated))

    return test


def _elements(right: Any, sets: Elements) -> list[Any]:
    if isinstance(right, Mapping) and "set" in right:
        return list(right["set"])
    if isinstance(right, str) and right.startswith("@"):
        return list(sets[right[1:]])
    return [right]


def _value(element: Any) -> Any:
    """An element without its timeout, comment or counter."""
    return element["elem"]["val"] if isinstance(element, Mapping) and "elem" in element else element


def _spans_of(
    left: Mapping[str, Any], right: Any, sets: Elements
) -> tuple[Callable[[Packet], Span | None], list[Span]] | None:
    """All ranges of addresses or ports together, as a packet's range may lie in several."""
    found = _NUMBERS.get(_name(left))
    if found is None or isinstance(right, list):
        return None
    return found, joined(_span(_value(each)) for each in _elements(right, sets))


def _verdict_map(value: Mapping[str, Any], sets: Elements) -> Choice:
    field = _field(value["key"])
    cases: list[tuple[Match, End]] = []
    # The default case is evaluated last.
    for key, verdict in sorted(_elements(value["data"], sets), key=lambda pair: pair[0] == "*"):
        ((kind, target),) = verdict.items()
        end = End(kind, target["target"]) if kind in ("jump", "goto") else _ENDS[kind]
        cases.append((_applying(field, field.matches(_value(key))), end))
    return Choice(cases)


def _applying(field: _Field, test: Test) -> Match:
    return lambda packet: both(field.applies(packet), test(packet))


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
        return _Field(lambda element: _unknown, lambda packet: False)
    applies = _protocol_test(kind)
    number = _NUMBERS.get((kind, name))
    if number is not None:
        return _Field(lambda element: _in_span(number, element), applies)
    if kind == "tcp":
        return _Field(_flag if name == "flags" else lambda element: _unknown, applies)
    if (kind, name) == ("ether", "saddr"):
        return _Field(_hardware, lambda packet: packet.hardware != "")
    if kind == "udp":
        return _Field(lambda element: _unknown, applies)
    return _Field(_FIELDS[kind, name])


def _protocol_test(kind: str) -> Test:
    if kind in ("tcp", "udp"):
        return lambda packet: packet.protocol == kind
    return lambda packet: True


def _in_span(number: Callable[[Packet], Span | None], element: Any) -> Test:
    if _value(element) == "*":
        return lambda packet: True
    spans = [_span(_value(element))]
    return lambda packet: inside(number(packet), spans)


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
    def matches(element: Any) -> Test:
        if _value(element) == "*":
            return lambda packet: True
        parts = [
            field.matches(part)
            for field, part in zip(fields, _value(element)["concat"], strict=True)
        ]
        return lambda packet: both(*(part(packet) for part in parts))

    return _Field(matches, lambda packet: both(*(field.applies(packet) for field in fields)))


def _masked_field(left: Mapping[str, Any], mask: Any) -> _Field:
    kind, name = _name(left)
    if (kind, name) == ("meta", "mark"):
        return _Field(lambda element: _mark(element, int(mask)))
    if (kind, name) == ("tcp", "flags"):
        names = _names(mask)
        if names & {"ecn", "cwr", "ece"}:  # which routers may change
            raise _Unknown
        return _Field(lambda element: _flags(element, names), _protocol_test("tcp"))
    raise _Unknown


def _mark(element: Any, mask: int = (1 << 32) - 1) -> Test:
    value = _value(element)
    if value == "*":
        return lambda packet: True
    if isinstance(value, Mapping):
        first, last = value["range"]
        return lambda packet: None if packet.mark is None else first <= packet.mark & mask <= last
    desired = int(value)
    return lambda packet: None if packet.mark is None else packet.mark & mask == desired


def _flags(element: Any, mask: frozenset[str]) -> Test:
    desired = _names(_value(element))
    return lambda packet: None if packet.flags is None else packet.flags & mask == desired


def _names(flags: Any) -> frozenset[str]:
    """Read flags, which are one name, a list, alternatives, or 0."""
    if isinstance(flags, str):
        return frozenset({flags})
    if isinstance(flags, Mapping):
        flags = flags["|"]
    if flags == 0:
        return frozenset()
    return frozenset(name for each in flags for name in _names(each))


def _flag(element: Any) -> Test:
    name = _value(element)
    if not isinstance(name, str):
        return _unknown
    return lambda packet: None if packet.flags is None else name in packet.flags


def _state(element: Any) -> Test:
    if isinstance(_value(element), Mapping) and len({*_value(element).get("|", ())}) > 1:
        return lambda packet: False  # a packet has one state, not several
    if not isinstance(_value(element), str):
        return _unknown
    name = _value(element).upper()
    return lambda packet: None if packet.seen_state is None else packet.seen_state == name


def _status(element: Any) -> Test:
    if _value(element) == "dnat":
        return lambda packet: False  # DNAT is not evaluated
    return lambda packet: False if packet.state == "NEW" else None


def _interface(field: Callable[[Packet], str | None]) -> Callable[[Any], Test]:
    def matches(element: Any) -> Test:
        name = _value(element)
        if not isinstance(name, str):  # the index of a removed interface
            return _unknown
        return lambda packet: same_interface(field(packet), name, "*")

    return matches


def _equals(*values: str) -> Callable[[Any], Test]:
    """The test of a field with the same value in all packets here."""

    def matches(element: Any) -> Test:
        value = _value(element)
        return (lambda packet: value in values) if isinstance(value, str) else _unknown

    return matches


def _protocol(element: Any) -> Test:
    value = _value(element)
    if isinstance(value, Mapping):
        return _unknown
    return lambda packet: _PROTOCOLS.get(value, value) == packet.protocol


def _hardware(element: Any) -> Test:
    value = _value(element)
    if not isinstance(value, str):
        return _unknown
    return lambda packet: same_hardware(packet.hardware, value)


def _packet_type(element: Any) -> Test:
    if _value(element) in ("broadcast", "multicast"):
        return lambda packet: False
    return _unknown


def _address_type(fib: Mapping[str, Any]) -> _Field:
    flags = [fib["flags"]] if isinstance(fib["flags"], str) else fib["flags"]
    if fib["result"] != "type" or flags not in (["saddr"], ["daddr"]):
        raise _Unknown
    of_source = flags == ["saddr"]

    def matches(element: Any) -> Test:
        name = _value(element)
        if not isinstance(name, str):
            return _unknown

        def test(packet: Packet) -> Answer:
            local = packet.from_here if of_source else packet.to_here
            if local is None:
                return None if name in ("local", "unicast") else False
            return name == ("local" if local else "unicast")

        return test

    return _Field(matches)


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
        return Effect(lambda packet: set_mark(packet, value))
    return Effect(lambda packet: replace(packet, mark=None))


_NUMBERS: dict[tuple[str, str], Callable[[Packet], Span | None]] = {
    ("ip", "saddr"): lambda packet: packet.source,
    ("ip", "daddr"): lambda packet: packet.destination,
    **{
        (kind, name): field
        for kind in ("tcp", "udp", "th")
        for name, field in (
            ("sport", lambda packet: packet.sport),
            ("dport", lambda packet: packet.dport),
        )
    },
}
_FIELDS: dict[tuple[str, str], Callable[[Any], Test]] = {
    ("meta", "iifname"): _interface(lambda packet: packet.in_interface),
    ("meta", "iif"): _interface(lambda packet: packet.in_interface),
    ("meta", "oifname"): _interface(lambda packet: packet.out_interface),
    ("meta", "oif"): _interface(lambda packet: packet.out_interface),
    ("meta", "l4proto"): _protocol,
    ("ip", "protocol"): _protocol,
    ("ip", "version"): lambda element: lambda packet: _value(element) == 4,
    ("meta", "nfproto"): _equals("ipv4"),
    ("meta", "protocol"): _equals("ip"),
    ("ether", "type"): _equals("ip"),
    ("meta", "mark"): _mark,
    ("meta", "pkttype"): _packet_type,
    ("ct", "state"): _state,
    ("ct", "status"): _status,
    ("ct", "l3proto"): _equals("ipv4"),
}
