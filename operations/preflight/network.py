"""
The network of a node: who has its interfaces and its resolver, and which networks it is on.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from facts.interfaces import InterfacesState
from facts.networks import NetworksState
from operations import interfaces as definitions
from operations import resolv_conf as resolvers
from operations.interfaces.plan import Plan
from operations.preflight.rows import Desk, Node, Verdict, known, ok, unless_in_cluster, warning

# What a cluster of ours makes itself.
POD_INTERFACES = ("cni0", "flannel.1", "kube-ipvs0")


def interfaces(node: Node, desk: Desk) -> Verdict:
    """They are there, nobody else defines them, and who has them lets go."""
    now = known(node.found.interfaces)
    networks = known(node.found.networks)
    definitions.check_confirmed(now)
    owners = []
    for each in node.wanted.interfaces:
        name = each["interface"]
        definitions.must_exist(name, now)
        asked = {key: value for key, value in each.items() if key != "interface"}
        Plan(name, now).define(definitions.described(name, **asked))
        if name in networks.networkd:
            return warning(
                f"systemd-networkd has {name} and does not let go of it by itself, and ifupdown is "
                "to have it: take it out of its file in /etc/systemd/network or /etc/netplan"
            )
        owner = _owner(name, now)
        owners.append(f"{name}: {owner}" + ("" if owner == "ifupdown" else ", then ifupdown"))
    return ok("; ".join(owners))


def _owner(name: str, now: InterfacesState) -> str:
    if name in now["up"]:
        return "ifupdown"
    if now["links"][name].nm_state not in ("", "unmanaged"):
        return "NetworkManager"
    return "dhcpcd" if now["units"].get("dhcpcd", ["", ""])[1] == "active" else "nobody"


def resolv_conf(node: Node, desk: Desk) -> Verdict:
    """Ours, or to be taken over from whoever writes it."""
    now = known(node.found.resolver)
    resolvers.check_manageable(now)
    resolvers.check_replaceable(now, **node.wanted.resolver)
    if resolvers.is_configured(now, **node.wanted.resolver):
        return ok("as the settings say")
    writers = ", ".join(resolvers.writers(now))
    by = f"written by {writers}" if writers else "no program says in it that it writes it"
    return ok(f"{by}: the run sees to it that ours lasts")


def networks(node: Node, desk: Desk) -> Verdict:
    """None of the cluster's networks is on the node already, by another way."""
    for name, network in _elsewhere(known(node.found.networks)):
        for setting in node.wanted.networks:
            wanted = node.wanted.network(setting)
            if wanted.overlaps(network) and not _belongs(name, setting, node):
                # A second interface on the cluster network misroutes a gateway's traffic;
                # elsewhere it is only one route too many.
                serious = node.wanted.is_gateway or setting in ("pod_network", "service_network")
                words = (
                    f"{name} is on {network}, and {setting} is {wanted}: choose another {setting} "
                    f"(group_data/), or take {name} down (a VPN, a bridge of Docker's, Wi-Fi?)"
                )
                return unless_in_cluster(node, words) if serious else warning(words)
    return ok("none of the cluster's is in other use")


def _elsewhere(now: NetworksState) -> Iterator[tuple[str, IPv4Network]]:
    """Where else than on pods' interfaces each network is. Halves of the internet are a VPN's way
    of being the default route."""
    for places in (now.addresses, now.routes):
        for name, texts in places.items():
            for text in texts:
                network = IPv4Network(text, strict=False)
                if name not in ("lo", *POD_INTERFACES) and network.prefixlen > 1:
                    yield name, network


def _belongs(name: str, setting: str, node: Node) -> bool:
    """Whether that network may be there: an interface of ours has it, or is to be given it."""
    inner, *outer = node.wanted.names
    if name == inner:
        return True  # whatever it is on until then, our address takes its place
    return name in outer and setting == "uplink_network"
