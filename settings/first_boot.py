"""
The files for a board's first boot, after which the operator's key opens it at a known address.

    files = first_boot.boot_files(cluster, cluster.node("node2"))
    text = first_boot.cmdline(cluster, cluster.node("node2"), text)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from formats import cloud_init
from formats import cmdline as kernel_cmdline
from messages import Said
from messages.settings import RADIO_WITHOUT_WIFI
from settings import known_hosts, ssh_keys
from settings.images import Dialect
from settings.model import Cluster, Node

_ENDING = Path(__file__).with_name("first_boot_ending.sh")
_COUNTRY = "cfg80211.ieee80211_regdom="


def boot_files(cluster: Cluster, node: Node, dialect: Dialect = "cloud-init") -> dict[str, str]:
    """
    Write the files on the boot partition that make the board this node.

    They hold secrets until the end of the first boot removes them: the board's private host key,
    and with Wi-Fi the key's hash, which opens the network as well. The operator's key and the
    board's host key are made when they are missing.

    + returns: text by file name
    """
    host_key = ssh_keys.host_key(cluster, node)
    board = cloud_init.Board(
        hostname=node.name,
        user=node.admin_user,
        authorized_keys=[ssh_keys.operator_public_key(cluster)],
        host_key=host_key,
        timezone=cluster.timezone,
        locale=cluster.locale,
        ending=_ENDING.read_text(encoding="utf-8"),
    )
    interfaces = _interfaces(cluster, node)
    # The host key identifies the machine: the same settings written twice are one machine.
    fingerprint = hashlib.sha256(host_key.public.encode()).hexdigest()[:12]
    identity = (f"{node.name}-{fingerprint}", node.name)
    if dialect == "cloud-init-0.7.9":
        return {
            "user-data": cloud_init.user_data_079(board, interfaces),
            "meta-data": cloud_init.meta_data_079(*identity),
        }
    return {
        "user-data": cloud_init.user_data(board),
        "meta-data": cloud_init.meta_data(*identity),
        "network-config": cloud_init.network_config(interfaces),
    }


def pin(cluster: Cluster, node: Node) -> None:
    """Enter the host key of the node's SD card into known_hosts, before the first connection."""
    known_hosts.pin(cluster, node, ssh_keys.host_key(cluster, node).public)


def remarks(cluster: Cluster, node: Node) -> list[Said]:
    """Warn of allowed settings that may make the board unreachable after its first boot."""
    radio = cluster.uplink_interface.startswith("wl")
    if not cluster.is_gateway(node) or not radio or cluster.wifi_ssid:
        return []
    return [RADIO_WITHOUT_WIFI(interface=cluster.uplink_interface, node=node.name)]


def cmdline(cluster: Cluster, node: Node, text: str) -> str:
    """
    Add the kernel's arguments to the boot partition's cmdline.txt: memory cgroup, radio's country.

    + text: the file as it comes with the image, or from an earlier call
    + raises ``ValueError``: it is not a command line
    """
    desired = ["cgroup_enable=memory"] if cluster.memory_cgroup else []
    if any(interface.wifi for interface in cluster.interfaces(node)):
        desired.append(f"{_COUNTRY}{cluster.wifi_country}")
        text = kernel_cmdline.without_argument(text, _COUNTRY)
    return kernel_cmdline.with_arguments(text, desired)


def _interfaces(cluster: Cluster, node: Node) -> Sequence[cloud_init.Interface]:
    """The node's interfaces as after the deploy; with a first_address, the one by which it is
    reached uses DHCP."""
    found = []
    for each in cluster.interfaces(node):
        static = each.address is not None and not (node.first_address and each.reached)
        resolves = static and each.default_route
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
    return cloud_init.AccessPoint(
        cluster.wifi_ssid,
        psk.get_secret_value(),
        cluster.wifi_country,
        cluster.wifi_security,
        cluster.wifi_hidden,
    )
