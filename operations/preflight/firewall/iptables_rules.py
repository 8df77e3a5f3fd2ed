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
from operations.preflight.firewall import matches
from operations.preflight.firewall.chains import BaseChain, Effect, End, Hook, Rule, Step
from operations.preflight.firewall.matches import Match
from operations.preflight.firewall.packets import Packet, Span, address_span, network_span

_PRIORITIES = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}
_LATE_NAT = 100  # in INPUT and POSTROUTING
_HOOKS: dict[str, Hook] = {
    "PREROUTING": "prerouting",
    "INPUT": "input",
    "FORWARD": "forward",
    "OUTPUT": "output",
    "POSTROUTING": "postrouting",
}
# Options whose value may look like an option.
_TEXTS = ("--comment", "--string", "--hex-string", "--helper", "--name")
_MODULES = {"tcp", "udp", "comment", "multiport", "iprange", "conntrack", "state", "mark"}
_MODULES |= {"addrtype", "mac", "pkttype"}
# Targets after which evaluation continues with the unchanged packet.
_TRANSPARENT = {"AUDIT", "CHECKSUM", "CLASSIFY", "CONNMARK", "CONNSECMARK", "DSCP", "ECN", "HL"}
_TRANSPARENT |= {"IDLETIMER", "LED", "LOG", "NFLOG", "RATEEST", "SECMARK", "SET", "TCPMSS"}
_TRANSPARENT |= {"TCPOPTSTRIP", "TEE", "TOS", "TRACE", "TTL", "ULOG", "CT"}
_ENDS = {
    "ACCEPT": "accept",
    "RETURN": "return",
    **dict.fromkeys(("DROP", "REJECT", "TARPIT"), "drop"),
    **dict.fromkeys(("DNAT", "REDIRECT", "NETMAP", "TPROXY"), "redirect"),
}


@dataclass(frozen=True)
class _Option:
    """
    + module: the one of the last ``-m``
    + value: its words, with spaces between them
    """

    module: str
    name: str
    value: str
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
        return Rule(line, [*map(_match, options), *_target(target, goto, chains)])
    except (ValueError, LookupError):  # an invalid address, a port by name
        return Rule(line, [matches.unsure, End("unknown")])


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
        if word in ("-m", "--match"):
            module = tokens[start]
        found.append(_Option(module, word, " ".join(tokens[start:position]), negated))
        negated = False
    return found, [], False


def _match(option: _Option) -> Match:
    """The match of an option; ``ValueError`` if its value is not understood."""
    of_known_module = option.module in _MODULES
    if option.name in ("-m", "--match"):
        return matches.always if of_known_module else matches.unsure
    make = _MATCHES.get(option.name)
    if make is None or (option.name[:2] == "--" and option.module and not of_known_module):
        return matches.unsure
    match = matches.unless(make(option.value), option.negated)
    if option.name == "--mac-source":  # negated too, it never matches without one
        return matches.all_of([matches.has_hardware, match])
    return match


def _protocol(name: str) -> Match:
    return matches.always if name in ("all", "0") else matches.protocol(name)


def _address(read: Callable[[Packet], Span | None]) -> Callable[[str], Match]:
    return lambda value: matches.within(read, map(network_span, value.split(",")))


def _interface(read: Callable[[Packet], str | None]) -> Callable[[str], Match]:
    return lambda value: matches.interface(read, value, "+")


def _port(*fields: Callable[[Packet], Span | None]) -> Callable[[str], Match]:
    def make(value: str) -> Match:
        spans = [_port_span(word) for word in value.split(",")]
        return matches.any_of(matches.within(read, spans) for read in fields)

    return make


def _port_span(word: str) -> Span:
    first, colon, last = word.partition(":")
    return int(first or 0), int((last or 65535) if colon else first)


def _range(read: Callable[[Packet], Span | None]) -> Callable[[str], Match]:
    def make(value: str) -> Match:
        first, _, last = value.partition("-")
        return matches.within(read, [address_span(first, last or first)])

    return make


def _states(value: str) -> Match:
    return matches.any_of(map(matches.state, value.split(",")))


def _flags(value: str) -> Match:
    mask, desired = value.split(" ")
    return matches.flags(_flag_names(mask), _flag_names(desired))


def _flag_names(word: str) -> set[str]:
    if word == "ALL":
        return {"fin", "syn", "rst", "psh", "ack", "urg"}
    return set(word.lower().split(",")) - {"none"}


def _mark(value: str) -> Match:
    desired, mask = _masked(value)
    return matches.mark(desired, desired, mask)


def _masked(word: str) -> tuple[int, int]:
    value, _, mask = word.partition("/")
    return int(value, 0), int(mask or str(matches.ALL_BITS), 0)


def _address_type(read: Callable[[Packet], bool | None]) -> Callable[[str], Match]:
    return lambda value: matches.any_of(
        matches.local(read, kind) for kind in value.lower().split(",")
    )


_MATCHES: dict[str, Callable[[str], Match]] = {
    "-p": _protocol,
    "-s": _address(lambda packet: packet.source),
    "-d": _address(lambda packet: packet.destination),
    "-i": _interface(lambda packet: packet.in_interface),
    "-o": _interface(lambda packet: packet.out_interface),
    "-f": lambda _: matches.never,  # no packet here is a fragment
    "--sport": _port(lambda packet: packet.sport),
    "--dport": _port(lambda packet: packet.dport),
    "--sports": _port(lambda packet: packet.sport),
    "--dports": _port(lambda packet: packet.dport),
    "--ports": _port(lambda packet: packet.sport, lambda packet: packet.dport),
    "--src-range": _range(lambda packet: packet.source),
    "--dst-range": _range(lambda packet: packet.destination),
    "--ctstate": _states,
    "--state": _states,
    "--tcp-flags": _flags,
    "--syn": lambda _: _flags("FIN,SYN,RST,ACK SYN"),
    "--mark": _mark,
    "--src-type": _address_type(lambda packet: packet.from_here),
    "--dst-type": _address_type(lambda packet: packet.to_here),
    "--mac-source": matches.hardware,
    "--pkt-type": matches.packet_type,
    "--comment": lambda _: matches.always,
}


def _target(words: Sequence[str], goto: bool, chains: Mapping[str, str]) -> list[Step]:
    if not words:
        return []
    name, *options = words
    if name in chains:
        return [End("goto" if goto else "jump", name)]
    if name in _ENDS:
        return [End(_ENDS[name])]
    if name == "CONNMARK" and "--restore-mark" in options:
        return [Effect(lambda packet: replace(packet, mark=None))]
    if name == "NOTRACK" or (name == "CT" and "--notrack" in options):
        return [Effect(matches.untrack)]
    if name in _TRANSPARENT:
        return []
    if name == "MARK":
        return [_set_mark(options)]
    if name in ("SNAT", "MASQUERADE"):
        return [Effect(matches.translate_source), End("accept")]
    return [End("unknown")]


def _set_mark(options: Sequence[str]) -> Effect:
    masked = dict(pairwise(options)).get("--set-xmark")
    if masked is None:
        return Effect(lambda packet: replace(packet, mark=None))
    bits, mask = _masked(masked)
    return Effect(lambda packet: matches.set_mark(packet, bits, mask))
