"""
The values in iptables rules, brought to the form in which the kernel gives them back.

Each function takes what a person may type and returns the canonical text; ``None`` stands for
"restricts nothing", which iptables-save leaves out. Bad values are a ``RuleError``.

Source: iptables 1.8's ``libxtables/xtoptions.c`` and the parsers in ``extensions/``; the names of
services from the IANA registry (a small table: the answer must not depend on a machine's
/etc/services).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence

from formats.iptables_words import RuleError


def _table(text: str) -> dict[str, str]:
    """``name value, name value``"""
    pairs = (pair.split() for pair in text.split(","))
    return {name: value for name, value in pairs}


_SERVICES = _table(
    """
    ftp-data 20, ftp 21, ssh 22, telnet 23, smtp 25, domain 53, bootps 67, bootpc 68, tftp 69,
    http 80, www 80, kerberos 88, pop3 110, sunrpc 111, ntp 123, imap2 143, imap 143, snmp 161,
    snmp-trap 162, bgp 179, ldap 389, https 443, microsoft-ds 445, submissions 465, isakmp 500,
    syslog 514, printer 515, submission 587, ipp 631, ldaps 636, domain-s 853, rsync 873, imaps
    993, pop3s 995, openvpn 1194, nfs 2049, iscsi-target 3260, mysql 3306, ms-wbt-server 3389,
    ipsec-nat-t 4500, sip 5060, mdns 5353, postgresql 5432, http-alt 8080
    """
)
_PROTOCOLS = _table(
    """
    all 0, icmp 1, igmp 2, tcp 6, udp 17, dccp 33, gre 47, esp 50, ah 51, ipv6-icmp 58, icmpv6 58,
    ospf 89, ipcomp 108, vrrp 112, sctp 132, mh 135, udplite 136
    """
)
_ICMP_TYPES = _table(
    """
    any any, echo-reply 0, pong 0, destination-unreachable 3, network-unreachable 3/0,
    host-unreachable 3/1, protocol-unreachable 3/2, port-unreachable 3/3, fragmentation-needed
    3/4, source-route-failed 3/5, network-unknown 3/6, host-unknown 3/7, network-prohibited 3/9,
    host-prohibited 3/10, tos-network-unreachable 3/11, tos-host-unreachable 3/12,
    communication-prohibited 3/13, host-precedence-violation 3/14, precedence-cutoff 3/15,
    source-quench 4, redirect 5, network-redirect 5/0, host-redirect 5/1, tos-network-redirect
    5/2, tos-host-redirect 5/3, echo-request 8, ping 8, router-advertisement 9,
    router-solicitation 10, time-exceeded 11, ttl-exceeded 11, ttl-zero-during-transit 11/0,
    ttl-zero-during-reassembly 11/1, parameter-problem 12, ip-header-bad 12/0,
    required-option-missing 12/1, timestamp-request 13, timestamp-reply 14, address-mask-request
    17, address-mask-reply 18
    """
)
_LOG_LEVELS = _table(
    """
    emerg 0, panic 0, alert 1, crit 2, error 3, warning 4, notice 5, info 6, debug 7
    """
)
_REJECTIONS = _table(
    """
    net-unreach icmp-net-unreachable, host-unreach icmp-host-unreachable, proto-unreach
    icmp-proto-unreachable, port-unreach icmp-port-unreachable, net-prohib icmp-net-prohibited,
    host-prohib icmp-host-prohibited, admin-prohib icmp-admin-prohibited, tcp-rst tcp-reset
    """
)
_PROTOCOL_NAMES = {
    "1": "icmp",
    "6": "tcp",
    "17": "udp",
    "33": "dccp",
    "132": "sctp",
    "136": "udplite",
}
_TCP_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG")
_RATE_UNITS = (("day", 86400), ("hour", 3600), ("min", 60), ("sec", 1))
_LIMIT_SCALE = 10_000  # XT_LIMIT_SCALE: the kernel counts a rate in tenths of a millisecond


def number(text: str, low: int = 0, high: int = 2**32 - 1) -> int:
    """A number as C's strtoul reads it: decimal, ``0x`` hexadecimal, or ``0`` octal."""
    if not re.fullmatch(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*", text):
        raise RuleError(f"{text!r} is not a number")
    base = 16 if text[:2] in ("0x", "0X") else 8 if text[0] == "0" else 10
    value = int(text, base)
    if not low <= value <= high:
        raise RuleError(f"{text} is not between {low} and {high}")
    return value


def address(text: str) -> str | None:
    """``10.1.2.3/8`` → ``10.0.0.0/8``; ``10.0.0.5`` → ``10.0.0.5/32``; ``0/0`` → None."""
    host, slash, length = text.partition("/")
    octets = host.split(".")
    octets += ["0"] * (4 - len(octets) if slash else 0)  # 10/8 is 10.0.0.0/8
    mask = _mask(length) if slash else 2**32 - 1
    try:
        value = int(ipaddress.IPv4Address(".".join(octets))) & mask
    except ValueError:
        raise RuleError(
            f"{text!r} is not an IPv4 address or network (a name would be looked up only once)"
        ) from None
    if mask == 0:
        return None
    inverse = mask ^ (2**32 - 1)
    contiguous = inverse & (inverse + 1) == 0
    shown = str(32 - inverse.bit_length()) if contiguous else str(ipaddress.IPv4Address(mask))
    return f"{ipaddress.IPv4Address(value)}/{shown}"


def _mask(text: str) -> int:
    if text.isdecimal():
        return (2**32 - 1) << (32 - number(text, 0, 32)) & (2**32 - 1)
    try:
        return int(ipaddress.IPv4Address(text))
    except ValueError:
        raise RuleError(f"/{text} is not a network's mask") from None


def interface(text: str) -> str | None:
    """An interface's name; ``eth+`` is each that begins so, ``+`` is any: None."""
    if not 0 < len(text) < 16 or re.search(r"[\s/]", text):
        raise RuleError(f"{text!r} is not an interface's name (1 to 15 characters)")
    return None if text == "+" else text


def protocol(text: str) -> str | None:
    """A protocol's name where iptables-save prints one, else its number; ``all`` → None."""
    try:
        value = _PROTOCOLS.get(text.lower()) or str(number(text, 0, 255))
    except RuleError:
        raise RuleError(f"unknown protocol {text!r}: give its number") from None
    return None if value == "0" else _PROTOCOL_NAMES.get(value, value)


def port(text: str) -> str:
    """``ssh`` → ``22``."""
    if text in _SERVICES:
        return _SERVICES[text]
    try:
        return str(number(text, 0, 65535))
    except RuleError as error:
        hint = "" if text[:1].isdigit() else ": give the port's number"
        raise RuleError(f"port {text!r}: {error}{hint}") from None


def span(text: str, value: Callable[[str], str], high: int, separator: str = ":") -> str | None:
    """``5:5`` → ``5``; ``5:`` → ``5:65535``; the whole span → None."""
    low, colon, last = text.partition(separator)
    if not colon:
        return value(low)
    first, end = value(low or "0"), value(last or str(high))
    if int(first) > int(end):
        raise RuleError(f"{text!r} runs backwards")
    if (int(first), int(end)) == (0, high):
        return None
    return first if first == end else f"{first}{separator}{end}"


def ports(text: str) -> str | None:
    """One port or a range of them."""
    return span(text, port, 65535)


def port_list(text: str) -> str:
    """``ssh,80,1000:2000`` → ``22,80,1000:2000`` (at most 15, a range counts twice)."""
    parts = [ports(part) or "0:65535" for part in text.split(",")]
    if sum(2 if ":" in part else 1 for part in parts) > 15:
        raise RuleError(f"{text!r}: multiport takes 15 ports, a range counts twice")
    return ",".join(parts)


def mac(text: str) -> str:
    if not re.fullmatch(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}", text):
        raise RuleError(f"{text!r} is not a MAC address")
    return text.lower()


def address_range(text: str) -> str:
    """``10.0.0.1`` → ``10.0.0.1-10.0.0.1``."""
    first, _, last = text.partition("-")
    try:
        low, high = ipaddress.IPv4Address(first), ipaddress.IPv4Address(last or first)
    except ValueError:
        raise RuleError(f"{text!r} is not a range of IPv4 addresses") from None
    return f"{low}-{high}"


def nat_address(text: str) -> str:
    """``10.0.0.5-10.0.0.5:http`` → ``10.0.0.5:80``."""
    hosts, colon, wanted = text.partition(":")
    shown = ""
    if hosts:
        first, _, last = address_range(hosts).partition("-")
        shown = first if first == last else f"{first}-{last}"
    return f"{shown}:{nat_ports(wanted)}" if colon else shown


def nat_ports(text: str) -> str:
    """``1024-2000``, ``ftp-data``; DNAT's ``10-20/3010`` goes on counting from another port."""
    if text in _SERVICES:
        return port(text)
    wanted, slash, first = text.partition("/")
    return (span(wanted, port, 65535, "-") or wanted) + (f"/{port(first)}" if slash else "")


def icmp_type(text: str) -> str | None:
    """``echo-request`` → ``8``; ``any`` → None."""
    known = _ICMP_TYPES.get(text.lower())
    if known == "any":
        return None
    if known:
        return known
    kind, slash, code = text.partition("/")
    try:
        return f"{number(kind, 0, 255)}" + (f"/{number(code, 0, 255)}" if slash else "")
    except RuleError:
        raise RuleError(f"unknown ICMP type {text!r}: give type or type/code in numbers") from None


def rate(text: str) -> str:
    """``60/minute`` → ``1/sec``: the biggest unit that loses nothing of what the kernel keeps."""
    count, slash, unit = text.partition("/")
    units = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
    seconds = 1
    if slash:
        found = [units[name] for name in units if unit and name.startswith(unit.lower())]
        if not found:
            raise RuleError(f"{text!r}: a rate is a number per second, minute, hour or day")
        seconds = found[0]
    period = _LIMIT_SCALE * seconds // number(count, 1)
    if period == 0:
        raise RuleError(f"{text!r} is too fast: at most {_LIMIT_SCALE} a second")
    shown = _RATE_UNITS[0]
    for name, length in _RATE_UNITS[1:]:
        whole, rest = divmod(_LIMIT_SCALE * length, period)
        if whole < rest or period > _LIMIT_SCALE * length:
            break
        shown = (name, length)
    return f"{_LIMIT_SCALE * shown[1] // period}/{shown[0]}"


def probability(text: str) -> str:
    """A share of packets, in the kernel's steps of 2 to the power of -31."""
    try:
        share = float(text)
    except ValueError:
        raise RuleError(f"{text!r} is not a probability") from None
    if not 0 <= share <= 1:
        raise RuleError(f"{text} is not between 0 and 1")
    return f"{round(share * 2**31) / 2**31:.11f}"


def mark(text: str) -> str:
    """``1/0xffffffff`` → ``0x1``."""
    value, mask = mark_pair(text)
    return f"{value:#x}" + ("" if mask == 2**32 - 1 else f"/{mask:#x}")


def mark_pair(text: str) -> tuple[int, int]:
    """``1/0xff`` → (1, 255)."""
    value, slash, mask = text.partition("/")
    return number(value), number(mask) if slash else 2**32 - 1


def tcp_flags(text: str) -> str:
    """``SYN,FIN`` → ``FIN,SYN``; ``ALL`` and ``NONE`` are understood."""
    if text.upper() == "NONE":
        return "NONE"
    names = _TCP_FLAGS if text.upper() == "ALL" else text.upper().split(",")
    return in_order(names, _TCP_FLAGS, "TCP flag")


def in_order(names: Sequence[str], known: Sequence[str], what: str) -> str:
    """Names of a set, each once, in the order in which iptables-save prints them."""
    for name in names:
        if name not in known:
            raise RuleError(f"unknown {what} {name!r}: one of {', '.join(known)}")
    return ",".join(name for name in known if name in names)


def log_level(text: str) -> str:
    """``info`` → ``6``."""
    return _LOG_LEVELS.get(text) or str(number(text, 0, 7))


def rejection(text: str) -> str:
    """``host-unreach`` → ``icmp-host-unreachable``."""
    name = _REJECTIONS.get(text.lower(), text.lower())
    if name not in _REJECTIONS.values():
        raise RuleError(f"unknown answer {text!r}: one of {', '.join(_REJECTIONS.values())}")
    return name
