"""
What a stanza of an interfaces file means, whichever way it is written.

Source: interfaces(5); ifupdown 0.8.44's inet.defn, inet6.defn, link.defn; ifupdown.sh of
wpasupplicant (how it takes quotes).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface

from formats.interfaces.tree import HOOKS, Definition

_QUOTED = re.compile(r"wpa-(ssid|psk|passphrase|wep-key\d)")


@dataclass(frozen=True)
class Meaning:
    """What a stanza means: equal for all the ways to write it."""

    name: str
    family: str
    method: str
    options: tuple[tuple[str, str], ...]
    hooks: tuple[tuple[str, tuple[str, ...]], ...]


def meaning(definition: Definition) -> Meaning:
    """
    Read what a definition means.

    ``netmask`` is merged into ``address``; what follows from both (``network``, ``broadcast``) is
    left out; ``post-up`` is ``up``; quotes around a network's name are removed; order counts for
    hooks only. A wrong value stays as it is.
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
    Read address and prefix; None when they are not valid.

    Without a prefix ifupdown takes that of the address's old class (inet), or 64 (inet6).
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
