"""
What this project knows of iptables' matches and targets: their options, and which spellings of
those mean the same.

A match or target that is not in these tables may be used all the same: its words are then
compared as they are, so it has to be written as iptables-save prints it.

Source: iptables-extensions(8), and the ``extensions/`` of iptables 1.8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from formats import iptables_values as values
from formats.iptables_extensions import Canonical, Known, Option
from formats.iptables_words import RuleError


def _same(option: Option) -> Option:
    return option


def _each(canonical: Callable[[str], str | None]) -> Canonical:
    """A value of its own canonical form; one that restricts nothing goes, unless negated."""

    def apply(option: Option) -> Option | None:
        found = canonical(option.values[0])
        if found is None and option.negated:
            raise RuleError(f"{option} never matches")
        return None if found is None else replace(option, values=(found,))

    return apply


def _default(default: str, canonical: Callable[[str], str | None] = str) -> Canonical:
    """A value that iptables-save leaves out, or always writes: nobody need say it."""

    def apply(option: Option) -> Option | None:
        option = _each(canonical)(option) or option
        return None if option.values == (default,) and not option.negated else option

    return apply


def _implied(option: Option) -> Option | None:
    return option if option.negated else None


def _set_of(*known: str, short: bool = False) -> Callable[[str], str]:
    """Names of a set, in any order and case; ``short``: a beginning of a name is enough."""

    def apply(text: str) -> str:
        names = text.upper().split(",")
        if short:
            names = [next((k for k in known if n and k.startswith(n)), n) for n in names]
        return values.in_order(names, known, "name")

    return apply


def _tcp_flags(option: Option) -> Option:
    return replace(option, values=tuple(values.tcp_flags(value) for value in option.values))


def _syn(option: Option) -> Option:
    return Option("--tcp-flags", ("FIN,SYN,RST,ACK", "SYN"), option.negated)


def _xmark(combine: Callable[[int, int], tuple[int, int]]) -> Canonical:
    """All of MARK's verbs are one: clear the bits of a mask, then exclusive-or a value."""

    def apply(option: Option) -> Option:
        value, mask = combine(*values.mark_pair(option.values[0]))
        return Option("--set-xmark", (f"{value:#x}/{mask:#x}",))

    return apply


def _numeric_id(text: str) -> str:
    if text == "root":
        return "0"
    if not text.replace("-", "").isdigit():
        raise RuleError(f"{text!r}: give the number of the user or group")
    return text


def _host(text: str) -> str | None:
    """conntrack prints a host's address without /32."""
    found = values.address(text)
    return found and found.removesuffix("/32")


def _log_prefix(text: str) -> str:
    if len(text.encode("utf-8", "surrogateescape")) > 29:
        raise RuleError(f"--log-prefix {text!r} is longer than 29 bytes")
    return text


_ALL = 2**32 - 1
_PORTS = {"--sport": _each(values.ports), "--dport": _each(values.ports)}
_PORT_ALIASES = {"--source-port": "--sport", "--destination-port": "--dport"}
_STATES = ("INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT")
_KINDS = ("UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE")
_CT_HOSTS = ("--ctorigsrc", "--ctorigdst", "--ctreplsrc", "--ctrepldst")
_MARKS = {
    "--set-xmark": _xmark(lambda value, mask: (value, mask)),
    "--set-mark": _xmark(lambda value, mask: (value, mask | value)),
    "--and-mark": _xmark(lambda value, _: (0, value ^ _ALL)),
    "--or-mark": _xmark(lambda value, _: (value, value)),
    "--xor-mark": _xmark(lambda value, _: (value, 0)),
}
_FLAGS = ("--random", "--random-fully", "--persistent")
_LOG_FLAGS = ("--log-tcp-sequence", "--log-tcp-options", "--log-ip-options", "--log-uid")
_RECENT_FLAGS = ("--set", "--rcheck", "--update", "--remove", "--rttl", "--rsource", "--rdest")

PROTOCOLS = ("tcp", "udp", "icmp")  # -p with one of these brings the match of that name along
MATCHES: dict[str, Known] = {
    "tcp": Known(
        {**_PORTS, "--tcp-flags": _tcp_flags, "--syn": _syn, "--tcp-option": _same},
        _PORT_ALIASES,
        two=("--tcp-flags",),
        none=("--syn",),
    ),
    "udp": Known(_PORTS, _PORT_ALIASES),
    "icmp": Known({"--icmp-type": _each(values.icmp_type)}),
    "multiport": Known(
        {name: _each(values.port_list) for name in ("--sports", "--dports", "--ports")},
        {"--source-ports": "--sports", "--destination-ports": "--dports"},
    ),
    "conntrack": Known(
        {
            "--ctstate": _each(_set_of(*_STATES, short=True)),
            "--ctstatus": _each(_set_of("NONE", "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED")),
            "--ctproto": _each(lambda text: values.protocol(text)),
            "--ctexpire": _each(lambda text: values.span(text, str, _ALL)),
            "--ctdir": _each(str.upper),
            **{name: _each(_host) for name in _CT_HOSTS},
            **{f"{name}port": _each(values.ports) for name in _CT_HOSTS},
        }
    ),
    "state": Known({"--state": _each(_set_of(*_STATES[:5], short=True))}),
    "limit": Known(
        {"--limit": _each(values.rate), "--limit-burst": _default("5")}, keeps_count=True
    ),
    "comment": Known({"--comment": _same}),
    "mark": Known({"--mark": _each(values.mark)}),
    "connmark": Known({"--mark": _each(values.mark)}),
    "addrtype": Known(
        {
            "--src-type": _each(_set_of(*_KINDS)),
            "--dst-type": _each(_set_of(*_KINDS)),
            "--limit-iface-in": _same,
            "--limit-iface-out": _same,
        },
        none=("--limit-iface-in", "--limit-iface-out"),
    ),
    "mac": Known({"--mac-source": _each(values.mac)}),
    "iprange": Known(
        {name: _each(values.address_range) for name in ("--src-range", "--dst-range")}
    ),
    "pkttype": Known({"--pkt-type": _each(str.lower)}),
    "length": Known({"--length": _each(lambda text: values.span(text, str, 65535))}),
    "ttl": Known(
        {name: _same for name in ("--ttl-eq", "--ttl-lt", "--ttl-gt")}, {"--ttl": "--ttl-eq"}
    ),
    "owner": Known(
        {
            "--uid-owner": _each(_numeric_id),
            "--gid-owner": _each(_numeric_id),
            "--socket-exists": _same,
            "--suppl-groups": _same,
        },
        none=("--socket-exists", "--suppl-groups"),
    ),
    "statistic": Known(
        {
            "--mode": _same,
            "--probability": _each(values.probability),
            "--every": _same,
            "--packet": _same,
        },
        keeps_count=True,
    ),
    "recent": Known(
        {
            **{name: _same for name in _RECENT_FLAGS},
            "--rsource": _implied,
            "--name": _default("DEFAULT"),
            "--mask": _default("255.255.255.255"),
            "--seconds": _same,
            "--hitcount": _same,
            "--reap": _same,
        },
        none=(*_RECENT_FLAGS, "--reap"),
        keeps_count=True,
    ),
    "connlimit": Known(
        {
            "--connlimit-upto": _same,
            "--connlimit-above": _same,
            "--connlimit-mask": _default("32"),
            "--connlimit-saddr": _implied,
            "--connlimit-daddr": _same,
        },
        none=("--connlimit-saddr", "--connlimit-daddr"),
        keeps_count=True,
    ),
}

TARGETS: dict[str, Known] = {
    **{name: Known({}) for name in ("ACCEPT", "DROP", "RETURN")},
    "REJECT": Known({"--reject-with": _default("icmp-port-unreachable", values.rejection)}),
    "LOG": Known(
        {
            "--log-prefix": _each(_log_prefix),
            "--log-level": _default("4", values.log_level),
            **{name: _same for name in (*_LOG_FLAGS, "--log-macdecode")},
        },
        none=(*_LOG_FLAGS, "--log-macdecode"),
    ),
    "MASQUERADE": Known(
        {"--to-ports": _each(values.nat_ports), "--random": _same, "--random-fully": _same},
        none=_FLAGS,
    ),
    "SNAT": Known(
        {"--to-source": _each(values.nat_address), **{name: _same for name in _FLAGS}},
        none=_FLAGS,
    ),
    "DNAT": Known(
        {"--to-destination": _each(values.nat_address), **{name: _same for name in _FLAGS}},
        none=_FLAGS,
    ),
    "REDIRECT": Known(
        {"--to-ports": _each(values.nat_ports), "--random": _same}, none=("--random",)
    ),
    "MARK": Known(_MARKS),
    "CONNMARK": Known(
        {
            **_MARKS,
            "--save-mark": _same,
            "--restore-mark": _same,
            "--nfmask": _default("0xffffffff"),
            "--ctmask": _default("0xffffffff"),
        },
        none=("--save-mark", "--restore-mark"),
    ),
}
