"""What a node is told at its first boot, so that the operator's key opens it at a known address."""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import TYPE_CHECKING

from formats import cloud_init
from settings import keys, known

if TYPE_CHECKING:
    from settings.model import Cluster, Node


def seed(cluster: Cluster, node: Node) -> dict[str, str]:
    """The texts of "user-data", "meta-data" and "network-config", named as NoCloud's files.

    They hold secrets: the node's private host key and the Wi-Fi key. Makes the operator's key and
    the node's host key when there are none yet, and enters the host key into known_hosts, so that
    the node is known before the first contact.
    """
    host_key = keys.host_key(cluster, node)
    known.pin(cluster, node, host_key.public)
    user_data = cloud_init.user_data(
        node.name, node.admin_user, [keys.operator_public_key(cluster)], host_key
    )
    # Another host key is another machine; the same settings written twice are not.
    fingerprint = hashlib.sha256(host_key.public.encode()).hexdigest()[:12]
    return {
        "user-data": user_data,
        "meta-data": cloud_init.meta_data(f"{node.name}-{fingerprint}", node.name),
        "network-config": cloud_init.network_config(_interfaces(cluster, node)),
    }


def _interfaces(cluster: Cluster, node: Node) -> list[cloud_init.Interface]:
    """The node's interfaces as after the deploy, save that the one at which it answers is on DHCP
    when it has a first_address."""
    uplink = cluster.topology == "nat" and node.role == "head"
    cluster_interface = _interface(
        cluster,
        node,
        node.cluster_interface,
        None if node.first_address and not uplink else (node.address, cluster.cluster_network),
        leads_out=not uplink,
    )
    if not uplink:
        return [cluster_interface]
    static = cluster.uplink_method == "static" and not node.first_address
    assert node.uplink_address is not None, "checked: uplink_address"
    uplink_interface = _interface(
        cluster,
        node,
        cluster.uplink_interface,
        (node.uplink_address, cluster.uplink_network) if static else None,
        leads_out=True,
        access_point=_access_point(cluster),
    )
    return [cluster_interface, uplink_interface]


def _interface(
    cluster: Cluster,
    node: Node,
    name: str,
    static: tuple[IPv4Address, IPv4Network] | None,
    leads_out: bool,
    access_point: cloud_init.AccessPoint | None = None,
) -> cloud_init.Interface:
    if static is None:
        return cloud_init.Interface(name, access_point=access_point)
    address, network = static
    return cloud_init.Interface(
        name,
        IPv4Interface((address, network.prefixlen)),
        gateway=cluster.gateway(node) if leads_out else None,
        nameservers=cluster.nameservers_of(node) if leads_out else (),
        search_domains=node.search_domains if leads_out else (),
        access_point=access_point,
    )


def _access_point(cluster: Cluster) -> cloud_init.AccessPoint | None:
    psk = cluster.wifi_psk()
    if psk is None:
        return None
    assert cluster.wifi_ssid is not None
    assert cluster.wifi_country is not None, "checked: wifi_country"
    return cloud_init.AccessPoint(cluster.wifi_ssid, psk.get_secret_value(), cluster.wifi_country)
