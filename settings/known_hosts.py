"""The nodes' host keys: .cluster/known_hosts."""

from __future__ import annotations

from pathlib import Path

from formats import known_hosts as known_hosts_format
from messages import Said
from messages import settings as messages
from settings.cluster_folder import folder, locked, write
from settings.model import Cluster, Node
from settings.problems import Problem, SettingsError


def path(cluster: Cluster) -> Path:
    """The path of known_hosts."""
    return folder(cluster.project) / "known_hosts"


def pin(cluster: Cluster, node: Node, public_key: str) -> None:
    """
    Enter the node's host key as the only one, under its name and all its addresses.

    + public_key: "ssh-ed25519 AAAA…"; a comment is dropped
    """
    key = " ".join(public_key.split()[:2])
    with locked(cluster.project):
        write(
            path(cluster),
            known_hosts_format.render(known_hosts_format.pin(_read(cluster), _names(node), key)),
        )


def unite(cluster: Cluster) -> None:
    """Enter a key that was accepted at one address of a node at its other addresses too, and remove
    doubles, which pyinfra makes when it connects to several nodes at once."""
    with locked(cluster.project):
        lines = _read(cluster)
        for node in cluster.nodes:
            lines = known_hosts_format.unite(lines, _names(node))
        write(path(cluster), known_hosts_format.render(lines))


def changed_key(cluster: Cluster, node: Node) -> Said:
    """Write the message for a node that shows another host key than the known one."""
    return messages.HOST_KEY_CHANGED(node=node.name, address=cluster.connect_address(node))


def _names(node: Node) -> list[str]:
    addresses = (node.address, node.uplink_address, node.first_address)
    return [node.name, *(str(address) for address in addresses if address)]


def _read(cluster: Cluster) -> list[known_hosts_format.Line]:
    file = path(cluster)
    try:
        return known_hosts_format.parse(file.read_text(encoding="utf-8")) if file.exists() else []
    except UnicodeDecodeError:
        said = messages.FOLDER_UNUSABLE(path=file, reason="not UTF-8")
        raise SettingsError([Problem(".cluster", said)]) from None
