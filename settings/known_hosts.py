"""The nodes' host keys as the operator's machine knows them: .cluster/known_hosts."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

from formats import known_hosts as known_hosts_format
from settings.cluster_folder import NAME, folder, locked, write
from settings.model import Cluster, Node


def path(cluster: Cluster) -> Path:
    """Where known_hosts is."""
    return folder(cluster.desk) / "known_hosts"


def pin(cluster: Cluster, node: Node, public_key: str) -> None:
    """Enter the node's host key as the only one, under its name and all its addresses.

    + public_key: "ssh-ed25519 AAAA…", a comment is dropped
    """
    key = " ".join(public_key.split()[:2])
    with locked(cluster.desk):
        write(
            path(cluster),
            known_hosts_format.render(known_hosts_format.pin(_read(cluster), _names(node), key)),
        )


def unite(cluster: Cluster) -> None:
    """Let a key that was accepted at one address of a node hold at its other addresses too, and
    drop doubles, which pyinfra makes when several nodes come through a new gateway at once."""
    with locked(cluster.desk):
        lines = _read(cluster)
        for node in cluster.nodes:
            lines = known_hosts_format.unite(lines, _names(node))
        write(path(cluster), known_hosts_format.render(lines))


def changed_key_remedy(cluster: Cluster, node: Node, address: IPv4Address | None = None) -> str:
    """What to tell a person when the node shows another host key than the known one.

    + address: where it showed that key, when not at its `connect_address`
    """
    where = address or cluster.connect_address(node)
    return (
        f"{node.name} ({where}) shows another host key than the one in {NAME}/known_hosts: its "
        "card was written anew, another machine has its address, or someone is in between. If "
        f"you know that it is the card: ssh-keygen -R {where} -f {NAME}/known_hosts"
    )


def _names(node: Node) -> list[str]:
    addresses = (node.address, node.uplink_address, node.first_address)
    return [node.name, *(str(address) for address in addresses if address)]


def _read(cluster: Cluster) -> list[known_hosts_format.Line]:
    file = path(cluster)
    return known_hosts_format.parse(file.read_text(encoding="utf-8")) if file.exists() else []
