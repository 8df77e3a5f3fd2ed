"""
Evaluate the rules that iptables-save prints.

Source: iptables(8), iptables-extensions(8), iptables-save of 1.8.9 and 1.8.11. An unknown
match or target is never ignored: its result is uncertain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from formats.iptables import Tables, words
from operations.preflight.firewall.chains import BaseChain, Effect, End, Hook, Match, Rule, Step
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

_PRIORITIES = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}
_LATE_NAT = 100  # in INPUT and POSTROUTING
_HOOKS: dict[str, Hook] = {
    "PREROUTING": "prerouting",
    "INPUT": "input",
    "FORWARD": "forward",
    "OUTPUT": "output",
    "POSTROUTING": "postrouting",
}
_ALL = (1 << 32) - 1
_PROTOCOLS = {"6": "tcp", "17": "udp"}
# Options whose value may look like an option.
_TEXTS = ("--comment", "--string", "--hex-string", "--helper", "--name")
_MODULES = {"tcp", "udp", "comment", "multiport", "iprange", "conntrack", "state", "mark"}
_MODULES |= {"addrtype", "mac", "pkttype"}
# Targets after which evaluation continues with the unchanged packet.
_TRANSPARENT = {"AUDIT", "CHECKSUM", "CLASSIFY", "CONNMARK", "CONNSECMARK", "DSCP", "ECN", "HL"}
_TRANSPARENT |= {"IDLETIMER", "LED", "LOG", "NFLOG", "RATEEST", "SECMARK", "SET", "TCPMSS"}
_TRANSPARENT |= {"TCPOPTSTRIP", "TEE", "TOS", "TRACE", "TTL", "ULOG"}
_ENDS = {
    "ACCEPT": End("accept"),
    "DROP": End("drop"),
    "REJECT": End("drop"),
    "TARPIT": End("drop"),
    "RETURN": End("return"),
    "DNAT": End("redirect"),
    "REDIRECT": End("redirect"),
    "NETMAP": End("redirect"),
    "TPROXY": End("redirect"),
}


@dataclass(frozen=True)
class _Option:
    module: str
    name: str
    values: tuple[str, ...]
    negated: bool


def base_chains(program: str, tables: Tables) -> Iterator[BaseChain]:
    """
    Yield the built-in chains of iptables.

    + program: the command that changes them: "iptables", "iptables-legacy", "iptables-nft"
    + tables: as iptables-save prints them
    """

    for table, found in tables.items():
        if table not in _PRIORITIES:
            continue
        rules = {
            chain: [_rule(line, found.chains) for line in found.rules.get(chain, [])]
            for chain in found.chains
        }
        for chain, policy in found.chains.items():
            if chain not in _HOOKS:
                continue
            late = table == "nat" and chain in ("INPUT", "POSTROUTING")
            yield BaseChain(
                program=program,
                family="ip",
                table=table,
                name=chain,
                hook=_HOOKS[chain],
                priority=_LATE_NAT if late else _PRIORITIES[table],
                policy=policy.lower(),
                rules=rules,
                nat=table == "nat",
            )


def _rule(line: str, chains: Mapping[str, str]) -> Rule:
    try:
        options, target, goto = _read(words(line))
        return Rule(line, [_all_of(options), *_target(target, goto, chains)])
    except (ValueError, LookupError):  # an invalid address, a port by name
        return Rule(line, [lambda _: None, End("unknown")])


def _read(tokens: list[str]) -> tuple[list[_Option], list[str], bool]:
    """Split a rule into its options, its target with options, and whether that is a goto."""
    found: list[_Option] = []
    module, negated, position = "", False, 2  # after -A CHAIN
    while position < len(tokens):
        word = tokens[position]
        position += 1
        if word == "!":
            negated = True
            continue
        if word in ("-j", "-g", "--jump", "--goto"):
            return found, tokens[position:], word in ("-g", "--goto")
        start = position
        position += word in _TEXTS
        while position < len(tokens) and tokens[position] != "!" and tokens[position][:1] != "-":
            position += 1
        values = tuple(tokens[start:position])
        if word in ("-m", "--match"):
            module = values[0]
            values = ()
        found.append(_Option(module, word, values, negated))
        negated = False
    return found, [], False


def _all_of(options: Sequence[_Option]) -> Match:
    matches = [_match(option) for option in options]

    def match(packet: Packet) -> Answer:
        answer: Answer = True
        for each in matches:
            found = each(packet)
            if found is False:
                return False
            answer = both(answer, found)
        return answer

    return match


def _match(option: _Option) -> Match:
    """The match of an option; ``ValueError`` if its value is not understood."""
    make = _MATCHES.get(option.name)
    if option.name in ("-m", "--match"):
        known = option.module in _MODULES
        return lambda _: True if known else None
    if make is None or (option.module not in _MODULES | {""} and option.name[:2] == "--"):
        return lambda _: None
    if make is _hardware:
        return _hardware(option)
    match = make(option)
    return lambda packet: opposite(match(packet), option.negated)


def _one(option: _Option) -> str:
    if len(option.values) != 1:
        raise ValueError(f"{option.name} has not one value")
    return option.values[0]


def _words(option: _Option) -> list[str]:
    return _one(option).split(",")


def _protocol(option: _Option) -> Match:
    name = _PROTOCOLS.get(_one(option), _one(option))
    return lambda packet: name in (packet.protocol, "all", "0")


def _address(field: Callable[[Packet], Span | None]) -> Callable[[_Option], Match]:
    def make(option: _Option) -> Match:
        spans = joined(network_span(word) for word in _words(option))
        return lambda packet: inside(field(packet), spans)

    return make


def _interface(field: Callable[[Packet], str | None]) -> Callable[[_Option], Match]:
    def make(option: _Option) -> Match:
        name = _one(option)
        return lambda packet: same_interface(field(packet), name, "+")

    return make


def _port(*fields: Callable[[Packet], Span | None]) -> Callable[[_Option], Match]:
    def make(option: _Option) -> Match:
        spans = joined(_port_span(word) for word in _words(option))
        return lambda packet: either(*(inside(field(packet), spans) for field in fields))

    return make


def _port_span(word: str) -> Span:
    first, colon, last = word.partition(":")
    return int(first or 0), int((last or 65535) if colon else first)


def _range(field: Callable[[Packet], Span | None]) -> Callable[[_Option], Match]:
    def make(option: _Option) -> Match:
        first, _, last = _one(option).partition("-")
        spans = [address_span(first, last or first)]
        return lambda packet: inside(field(packet), spans)

    return make


def _states(option: _Option) -> Match:
    names = _words(option)

    def match(packet: Packet) -> Answer:
        if packet.seen_state is None:
            return None
        if packet.seen_state in names:
            return True
        # SNAT and DNAT are states as well; DNAT is not evaluated.
        return None if "SNAT" in names and packet.seen_state == "ESTABLISHED" else False

    return match


def _flags(option: _Option) -> Match:
    if len(option.values) != 2:
        raise ValueError("--tcp-flags has not two values")
    mask, desired = (_flag_names(word) for word in option.values)
    return lambda packet: None if packet.flags is None else packet.flags & mask == desired


def _flag_names(word: str) -> frozenset[str]:
    if word == "ALL":
        return frozenset(("fin", "syn", "rst", "psh", "ack", "urg"))
    return frozenset(word.lower().split(",")) - {"none"}


def _syn(option: _Option) -> Match:
    return _flags(replace(option, values=("FIN,SYN,RST,ACK", "SYN")))


def _mark(option: _Option) -> Match:
    if option.module != "mark":
        return lambda _: None
    value, mask = _masked(_one(option))
    return lambda packet: None if packet.mark is None else packet.mark & mask == value


def _masked(word: str) -> tuple[int, int]:
    value, _, mask = word.partition("/")
    return int(value, 0), int(mask or str(_ALL), 0)


def _address_type(field: Callable[[Packet], bool | None]) -> Callable[[_Option], Match]:
    def make(option: _Option) -> Match:
        names = _words(option)

        def match(packet: Packet) -> Answer:
            local = field(packet)
            if local is None:
                return both(None, {"LOCAL", "UNICAST"} & set(names) != set())
            return ("LOCAL" if local else "UNICAST") in names

        return match

    return make


def _hardware(option: _Option) -> Match:
    desired, negated = _one(option), option.negated
    return lambda packet: same_hardware(packet.hardware, desired, negated)


def _packet_type(option: _Option) -> Match:
    name = _one(option)

    def match(packet: Packet) -> Answer:
        if name in ("broadcast", "multicast"):
            return False
        return None if name != "unicast" or packet.in_interface in ("", "lo", None) else True

    return match


def _source(packet: Packet) -> Span | None:
    return packet.source


def _destination(packet: Packet) -> Span | None:
    return packet.destination


def _sport(packet: Packet) -> Span | None:
    return packet.sport


def _dport(packet: Packet) -> Span | None:
    return packet.dport


_MATCHES: dict[str, Callable[[_Option], Match]] = {
    "-p": _protocol,
    "-s": _address(_source),
    "-d": _address(_destination),
    "-i": _interface(lambda packet: packet.in_interface),
    "-o": _interface(lambda packet: packet.out_interface),
    "-f": lambda _: lambda _: False,  # no packet here is a fragment
    "--sport": _port(_sport),
    "--dport": _port(_dport),
    "--sports": _port(_sport),
    "--dports": _port(_dport),
    "--ports": _port(_sport, _dport),
    "--src-range": _range(_source),
    "--dst-range": _range(_destination),
    "--ctstate": _states,
    "--state": _states,
    "--tcp-flags": _flags,
    "--syn": _syn,
    "--mark": _mark,
    "--src-type": _address_type(lambda packet: packet.from_here),
    "--dst-type": _address_type(lambda packet: packet.to_here),
    "--mac-source": _hardware,
    "--pkt-type": _packet_type,
    "--comment": lambda _: lambda _: True,
}


def _target(words: Sequence[str], goto: bool, chains: Mapping[str, str]) -> list[Step]:
    if not words:
        return []
    name, *options = words
    if name in chains:
        return [End("goto" if goto else "jump", name)]
    if name in _ENDS:
        return [_ENDS[name]]
    if name in _TRANSPARENT:
        if name == "CONNMARK" and "--restore-mark" in options:
            return [Effect(_make_mark_unknown)]
        return []
    if name == "MARK":
        return [_set_mark(options)]
    if name == "NOTRACK" or (name == "CT" and "--notrack" in options):
        return [Effect(untrack)]
    if name == "CT":
        return []
    if name in ("SNAT", "MASQUERADE"):
        return [Effect(translate_source), End("accept")]
    return [End("unknown")]


def _set_mark(options: Sequence[str]) -> Effect:
    masked = next((value for name, value in pairwise(options) if name == "--set-xmark"), None)
    if masked is None:
        return Effect(_make_mark_unknown)
    bits, mask = _masked(masked)
    return Effect(lambda packet: set_mark(packet, bits, mask))


def set_mark(packet: Packet, bits: int, mask: int = _ALL) -> Packet:
    """Clear the bits of ``mask`` in the mark, then exclusive-or ``bits``."""
    if packet.mark is None and mask != _ALL:
        return packet
    return replace(packet, mark=(packet.mark or 0) & ~mask & _ALL ^ bits)


def _make_mark_unknown(packet: Packet) -> Packet:
    return replace(packet, mark=None)


def untrack(packet: Packet) -> Packet:
    """Exempt a packet from conntrack, if conntrack has not run yet."""
    return packet if packet.tracked else replace(packet, state="UNTRACKED")


def translate_source(packet: Packet) -> Packet:
    """Change source address and maybe port, as SNAT does."""
    return replace(packet, source=None, sport=None)
