"""The interfaces of a node, as they are once it is deployed."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from settings.model import Cluster, Node


@dataclass(frozen=True)
class Interface:
    """One interface of a node.

    + address: with its prefix; None: from DHCP
    + gateway: the default route, when it leads this way and DHCP does not give it
    + leads_out: whether the node's default route leads this way
    + nat: whether the workers' addresses are translated there
    + wifi: whether it is a radio
    + reached: whether the operator reaches the node by it
    """

    name: str
    address: IPv4Interface | None
    gateway: IPv4Address | None
    leads_out: bool
    nat: bool
    wifi: bool
    reached: bool


def of(cluster: Cluster, node: Node) -> tuple[Interface, ...]:
    """The one on the cluster network, and, of a head that does NAT, the uplink."""
    uplink = cluster.topology == "nat" and node.role == "head"
    inner = Interface(
        node.cluster_interface,
        IPv4Interface((node.address, cluster.cluster_network.prefixlen)),
        gateway=None if uplink else cluster.gateway(node),
        leads_out=not uplink,
        nat=False,
        wifi=False,
        reached=not uplink,
    )
    if not uplink:
        return (inner,)
    assert node.uplink_address is not None, "checked: uplink_address"
    static = cluster.uplink_method == "static"
    outer = Interface(
        cluster.uplink_interface,
        IPv4Interface((node.uplink_address, cluster.uplink_network.prefixlen)) if static else None,
        gateway=cluster.uplink_gateway if static else None,
        leads_out=True,
        nat=True,
        wifi=cluster.wifi_ssid is not None,
        reached=True,
    )
    return (inner, outer)
