"""Addresses, networks, gateways, interfaces and nameservers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations

from settings.checks.draft import HOST_DATA, Draft
from settings.errors import Problem


def node_addresses(draft: Draft) -> Iterator[Problem]:
    for node in draft.cluster.nodes:
        text = _misplaced(node.address, "cluster_network", draft.cluster.cluster_network)
        if text:
            yield draft.problem("address", f"{node.address} {text}", node)


def uplink_address(draft: Draft) -> Iterator[Problem]:
    for node in draft.nat_heads:
        if node.uplink_address is None:
            yield Problem(
                draft.sources.inventory,
                'missing: topology "nat" needs the head\'s address on the network in front of it',
                node.name,
                "uplink_address",
            )
            continue
        text = _misplaced(node.uplink_address, "uplink_network", draft.cluster.uplink_network)
        if text:
            yield draft.problem("uplink_address", f"{node.uplink_address} {text}", node)


def uplink_is_the_heads(draft: Draft) -> Iterator[Problem]:
    for node in draft.cluster.nodes:
        if node.role == "worker" and node.uplink_address is not None:
            yield draft.problem("uplink_address", "only the head has one: remove it", node)


def router(draft: Draft) -> Iterator[Problem]:
    cluster = draft.cluster
    if cluster.topology == "router":
        text = _misplaced(cluster.router, None, cluster.cluster_network)
        if text:
            yield draft.problem("router", f"gateway {cluster.router} {text}")


def uplink_gateway(draft: Draft) -> Iterator[Problem]:
    cluster = draft.cluster
    if cluster.topology == "nat":
        text = _misplaced(cluster.uplink_gateway, None, cluster.uplink_network)
        if text:
            yield draft.problem("uplink_gateway", f"gateway {cluster.uplink_gateway} {text}")


def _misplaced(address: IPv4Address, name: str | None, network: IPv4Network) -> str | None:
    where = f"{name} {network}" if name else str(network)
    if address == network.network_address:
        return f"is the address of {where} itself: the first one for a machine is {network[1]}"
    if address == network.broadcast_address:
        return f"is the broadcast address of {where}: the last one for a machine is {network[-2]}"
    if address in network:
        return None
    near = network[int(address) & int(network.hostmask)]
    if near in (network.network_address, network.broadcast_address):
        near = network[1]
    return f"is not in {where}: did you mean {near}?"


def distinct_addresses(draft: Draft) -> Iterator[Problem]:
    cluster = draft.cluster
    taken: dict[IPv4Address, str] = {}
    if cluster.topology == "router":
        taken[cluster.router] = "the router"
    else:
        taken[cluster.uplink_gateway] = "uplink_gateway"
    for node in cluster.nodes:
        for setting in HOST_DATA:
            address: IPv4Address | None = getattr(node, setting)
            if address is None or (setting == "uplink_address" and node not in draft.nat_heads):
                continue
            owner = taken.setdefault(address, node.name)
            if owner != node.name:
                yield draft.problem(setting, f"{address} is taken by {owner}: choose another", node)


def separate_networks(draft: Draft) -> Iterator[Problem]:
    settings = ["cluster_network", "uplink_network", "pod_network", "service_network"]
    if draft.cluster.topology == "router":
        settings.remove("uplink_network")
    for first, second in combinations(settings, 2):
        one: IPv4Network = getattr(draft.cluster, first)
        other: IPv4Network = getattr(draft.cluster, second)
        if one.overlaps(other):
            yield draft.problem(second, f"{other} overlaps {first} {one}: choose another network")


def separate_interfaces(draft: Draft) -> Iterator[Problem]:
    for node in draft.nat_heads:
        if node.cluster_interface == draft.cluster.uplink_interface:
            yield draft.problem(
                "uplink_interface",
                f"{node.cluster_interface} is cluster_interface too: the head needs two",
            )


def nameservers(draft: Draft) -> Iterator[Problem]:
    for node in draft.cluster.nodes:
        servers = draft.cluster.nameservers_of(node)
        if len(servers) > 3:
            yield draft.problem(
                "nameservers",
                f"{len(servers)} of them, and a resolver uses 3: remove {len(servers) - 3}",
                node,
            )
        for server, times in Counter(servers).items():
            if times > 1:
                yield draft.problem(
                    "nameservers", f"{server} is there {times} times: remove one", node
                )
