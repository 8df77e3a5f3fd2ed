"""Commands that make a firewall accept what it drops."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from operations.preflight.firewall.chains import Place
from operations.preflight.firewall.flows import VRRP, Allowed, PacketPath, Site

_IN = ("ingress", "prerouting", "input", "forward")  # the hooks where -i is known …
_OUT = ("forward", "output", "postrouting", "egress")  # … and where -o is known


def commands(dropped: Iterable[tuple[PacketPath, Place]], site: Site) -> list[str]:
    """
    Write the commands for the node that accept all of these packets.

    + dropped: packets, and where they are dropped
    """
    by_program: dict[tuple[str, ...], list[tuple[PacketPath, Place]]] = {}
    for path, place in dropped:
        by_program.setdefault(_program(place), []).append((path, place))
    found: list[str] = []
    for (program, *_), cases in by_program.items():
        place = cases[0][1]
        rules = _joined(_rule(path.allowed, place) for path, place in cases)
        if program == "firewalld":
            found.append(_firewalld(site))
        elif program == "ufw":
            found += [f"sudo ufw {_ufw(rule, place)}" for rule in rules]
        elif program == "nft":
            into = f"{place.base.family} {place.base.table} {place.base.name}"
            found += [f"sudo nft 'insert rule {into} {_nft(rule)}accept'" for rule in rules]
        else:
            table = "" if place.base.table == "filter" else f"-t {place.base.table} "
            into = f"{table}-I {place.base.name}"
            found += [f"sudo {program} {into} {_iptables(rule)}-j ACCEPT" for rule in rules]
    return list(dict.fromkeys(found))


def _program(place: Place) -> tuple[str, ...]:
    """The program to use; firewalld and ufw would make their own rules again."""
    base = place.base
    if (base.program == "nft" and base.table == "firewalld") or "INPUT_ZONES" in base.rules:
        return ("firewalld",)
    of_ufw = place.rule is None or place.chain.startswith("ufw-")
    if (
        "ufw-user-input" in base.rules
        and of_ufw
        and not place.chain.startswith("ufw-before")
        and place.packet.state == "NEW"
    ):
        return ("ufw", base.table, base.name)
    return (base.program, base.family, base.table, base.name)


def _rule(allowed: Allowed, place: Place) -> Allowed:
    """What a rule at this place can say of that."""
    hook, base = place.base.hook, place.base
    on_device = base.family in ("netdev", "bridge") or hook in ("ingress", "egress")
    if "lo" in (allowed.in_interface, allowed.out_interface) and not on_device:
        coming = hook in ("prerouting", "input")
        return Allowed(in_interface="lo") if coming else Allowed(out_interface="lo")
    if place.packet.seen_state == "ESTABLISHED" and allowed.ports and not on_device:
        return Allowed(established=True)
    named = bool(allowed.ports) or allowed.protocol == VRRP
    by_interface = named and not on_device
    return replace(
        allowed,
        in_interface=allowed.in_interface if by_interface and hook in _IN else "",
        out_interface=allowed.out_interface if by_interface and hook in _OUT else "",
        source=allowed.source if hook in _IN else None,
        destination=allowed.destination if hook in _OUT else None,
        protocol=allowed.protocol if named else "",
        side=allowed.side if allowed.ports else "",
    )


def _joined(rules: Iterable[Allowed]) -> Iterator[Allowed]:
    """Merge rules that differ in their ports."""
    ports: dict[Allowed, set[int]] = {}
    for rule in rules:
        ports.setdefault(replace(rule, ports=()), set()).update(rule.ports)
    for bare, found in ports.items():
        yield replace(bare, ports=tuple(sorted(found)))


def _iptables(rule: Allowed) -> str:
    if rule.established:
        return "-m conntrack --ctstate RELATED,ESTABLISHED "
    options = (
        ("-i", rule.in_interface),
        ("-o", rule.out_interface),
        ("-s", rule.source),
        ("-d", rule.destination),
        ("-p", rule.protocol),
    )
    words = "".join(f"{option} {value} " for option, value in options if value)
    if len(rule.ports) > 1:
        return f"{words}-m multiport --{rule.side}s {','.join(map(str, rule.ports))} "
    return words + "".join(f"--{rule.side} {port} " for port in rule.ports)


def _nft(rule: Allowed) -> str:
    if rule.established:
        return "ct state established,related "
    options = (
        ("iifname", rule.in_interface and f'"{rule.in_interface}"'),
        ("oifname", rule.out_interface and f'"{rule.out_interface}"'),
        ("ip saddr", rule.source),
        ("ip daddr", rule.destination),
    )
    words = "".join(f"{option} {value} " for option, value in options if value)
    if not rule.ports:
        return words + (f"ip protocol {rule.protocol} " if rule.protocol else "")
    ports = ", ".join(map(str, rule.ports))
    return f"{words}{rule.protocol} {rule.side} {{ {ports} }} "


def _ufw(rule: Allowed, place: Place) -> str:
    words = "route prepend allow" if place.base.hook == "forward" else "prepend allow"
    words += f" in on {rule.in_interface}" if rule.in_interface else ""
    words += f" out on {rule.out_interface}" if rule.out_interface else ""
    words += f" proto {rule.protocol}" if rule.protocol else ""
    words += f" from {rule.source or 'any'} to {rule.destination or 'any'}"
    return words + (f" port {','.join(map(str, rule.ports))}" if rule.ports else "")


def _firewalld(site: Site) -> str:
    sources = f"--add-source={site.cluster} --add-source={site.pods}"
    return f"sudo firewall-cmd --permanent --zone=trusted {sources} && sudo firewall-cmd --reload"
