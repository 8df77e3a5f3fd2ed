"""
What a stanza of an interfaces file says, in whichever way, and what is wrong with it.

Source: interfaces(5); ifupdown 0.8.44's inet.defn, inet6.defn, link.defn (which options a method
has); ifupdown.sh of wpasupplicant (how it takes quotes).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from formats.interfaces.tree import HOOKS, SYNONYMS, Definition

# What a method of ifupdown itself understands. Other names are given to the scripts in
# /etc/network/if-*.d, so an unknown one is not wrong: only one that is nearly another is.
_OPTIONS = {
    "inet static": "address netmask broadcast network metric gateway pointopoint hwaddress mtu"
    " scope",
    "inet manual": "hwaddress mtu",
    "inet dhcp": "hostname metric leasetime vendor client hwaddress",
    "inet tunnel": "address mode endpoint dstaddr local metric gateway ttl mtu netmask",
    "inet6 static": "address netmask metric gateway media hwaddress mtu accept_ra autoconf privext"
    " scope preferred-lifetime dad-attempts dad-interval",
    "inet6 auto": "privext accept_ra dhcp request_prefix ll-attempts ll-interval hwaddress",
    "inet6 manual": "hwaddress mtu",
    "inet6 dhcp": "hwaddress accept_ra autoconf request_prefix ll-attempts ll-interval",
}
OPTIONS = {kind: tuple(names.split()) for kind, names in _OPTIONS.items()}
_OF_SCRIPTS = frozenset(
    f"{prefix}-{name}"
    for prefix, names in {
        "wpa": "ssid psk conf roam driver iface key-mgmt bssid scan-ssid identity password",
        "wireless": "essid mode key",
        "dns": "nameserver nameservers search domain",
        "vlan": "raw-device",
        "bond": "master slaves mode miimon primary",
    }.items()
    for name in names.split()
) | {"description", "bridge_ports", "bridge_stp", "bridge_fd", "bridge_maxwait"}
_QUOTED = re.compile(r"wpa-(ssid|psk|passphrase|wep-key\d)")


@dataclass(frozen=True)
class Meaning:
    """What a stanza says, in one form for all the ways to say it; equal means the same."""

    name: str
    family: str
    method: str
    options: tuple[tuple[str, str], ...]
    hooks: tuple[tuple[str, tuple[str, ...]], ...]


def meaning(definition: Definition) -> Meaning:
    """
    What a definition says, whichever way it says it.

    ``netmask`` goes into ``address``; what follows from the two (``network``, ``broadcast``) is
    left out; ``post-up`` is ``up``; quotes around a network's name are taken off; order counts for
    hooks alone. A value that is wrong stays as it is: see ``problems``.
    """

    options = dict(definition.options)
    for name in HOOKS:
        options.pop(name, None)
    if definition.family in ("inet", "inet6") and definition.method == "static":
        _fold_address(definition.family, options)
    plain = {name: _plain(name, value) for name, value in options.items()}
    return Meaning(
        definition.iface.name,
        definition.family,
        definition.method,
        tuple(sorted(plain.items())),
        tuple((name, found) for name in HOOKS if (found := _hooks(definition, name))),
    )


def _hooks(definition: Definition, name: str) -> tuple[str, ...]:
    return tuple(value for known, value in definition.options if known == name)


def _fold_address(family: str, options: dict[str, str]) -> None:
    address = _address(family, options.get("address", ""), options.get("netmask", ""))
    if address is None:
        return
    options["address"] = str(address)
    options.pop("netmask", None)
    if isinstance(address, IPv4Interface):
        if options.get("broadcast") in ("+", str(address.network.broadcast_address)):
            del options["broadcast"]
        if options.get("network") == str(address.network.network_address):
            del options["network"]


def _address(family: str, address: str, netmask: str) -> IPv4Interface | IPv6Interface | None:
    """
    Address and prefix, or ``None`` when they are not valid.

    Without a prefix ifupdown takes the address's old class (inet), or 64 (inet6).
    """

    host, _, prefix = address.partition("/")
    mask = netmask or prefix
    try:
        if family == "inet6":
            return IPv6Interface(f"{host}/{mask or 64}")
        return IPv4Interface(f"{host}/{mask or _class_prefix(IPv4Address(host))}")
    except ValueError:
        return None


def _class_prefix(address: IPv4Address) -> int:
    first = int(address) >> 24
    return 8 if first < 128 else 16 if first < 192 else 24 if first < 224 else 32


def _plain(name: str, value: str) -> str:
    if _QUOTED.fullmatch(name) and len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1]
    if name == "hwaddress":
        return re.sub(r"^(ether|ax25|arcnet|netrom) +", "", value, flags=re.IGNORECASE).lower()
    if name in ("metric", "mtu") and re.fullmatch(r"[0-9]+", value):
        return str(int(value))
    return value


def problems(definition: Definition) -> list[str]:
    """
    What ifupdown reads without a word although it cannot work, each in one line.

    + definition: a stanza with what it inherits
    """

    return [*_option_problems(definition), *_address_problems(definition)]


def _option_problems(definition: Definition) -> Iterator[str]:
    kind = f"{definition.family} {definition.method}"
    own = OPTIONS.get(kind)
    if own is None:
        return
    everywhere = {name for names in OPTIONS.values() for name in names}
    known = {*own, *HOOKS, *SYNONYMS, *_OF_SCRIPTS}
    for name, value in definition.options:
        if name in own and "\n" in value:
            values = " and ".join(value.split("\n"))
            yield f"{name} is given twice: {values}"
        elif name in known:
            continue
        elif name in everywhere:
            yield f"{name} is no option of {kind}: ifupdown ignores it"
        elif close := get_close_matches(name, known, 1, 0.8):
            yield f"{name} is no option of {kind}: did you mean {close[0]}?"


def _address_problems(definition: Definition) -> Iterator[str]:
    family = definition.family
    options = dict(definition.options)
    if definition.method != "static" or family not in ("inet", "inet6"):
        return
    address, netmask = options.get("address"), options.get("netmask", "")
    if address is None:
        yield "address is missing"
        return
    whole = _address(family, address, netmask)
    if whole is None:
        wrong = f"{address} with netmask {netmask}" if netmask else address
        yield f"address {wrong} is no {'IPv4' if family == 'inet' else 'IPv6'} address"
        return
    if not netmask and "/" not in address:
        yield f"address {address} has no prefix: ifupdown takes /{whole.network.prefixlen}"
    if isinstance(whole, IPv4Interface):
        yield from _follows_from_address(whole, options)
    if gateway := options.get("gateway"):
        yield from _gateway_problems(whole, gateway, "pointopoint" in options)


def _follows_from_address(address: IPv4Interface, options: dict[str, str]) -> Iterator[str]:
    network = address.network
    if network.prefixlen < 31 and address.ip in (
        network.network_address,
        network.broadcast_address,
    ):
        yield f"address {address.ip} is the network's own: no node can have it in {network}"
    for name, right in (
        ("network", str(network.network_address)),
        ("broadcast", str(network.broadcast_address)),
    ):
        given = options.get(name, right)
        if given not in (right, "+", "-"):
            yield f"{name} {given} does not fit address {address}: did you mean {right}?"


def _gateway_problems(
    address: IPv4Interface | IPv6Interface, gateway: str, peer: bool
) -> Iterator[str]:
    network = address.network
    kind = "IPv4" if isinstance(address, IPv4Interface) else "IPv6"
    try:
        hop: IPv4Address | IPv6Address
        hop = IPv4Address(gateway) if kind == "IPv4" else IPv6Address(gateway)
    except ValueError:
        yield f"gateway {gateway} is no {kind} address"
        return
    if hop == address.ip:
        yield f"gateway {gateway} is the interface's own address"
    elif hop not in network and not hop.is_link_local and not peer:
        host_bits = int(hop) & int(network.hostmask)
        near = type(hop)(int(network.network_address) | host_bits)
        yield f"gateway {gateway} is not in {network}: did you mean {near}?"
