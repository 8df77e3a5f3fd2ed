"""What a node is told at its first boot, so that the operator's key opens it at a known address."""

from __future__ import annotations

import hashlib
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
    found = []
    for each in cluster.interfaces(node):
        static = each.address is not None and not (node.first_address and each.reached)
        resolves = static and each.leads_out
        found.append(
            cloud_init.Interface(
                each.name,
                each.address if static else None,
                gateway=each.gateway if static else None,
                nameservers=cluster.nameservers_of(node) if resolves else (),
                search_domains=node.search_domains if resolves else (),
                access_point=_access_point(cluster) if each.wifi else None,
            )
        )
    return found


def _access_point(cluster: Cluster) -> cloud_init.AccessPoint | None:
    psk = cluster.wifi_psk()
    if psk is None:
        return None
    assert cluster.wifi_ssid is not None
    assert cluster.wifi_country is not None, "checked: wifi_country"
    return cloud_init.AccessPoint(cluster.wifi_ssid, psk.get_secret_value(), cluster.wifi_country)
