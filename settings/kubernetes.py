"""What follows from the settings of Kubernetes."""

from __future__ import annotations

from formats import kubernetes_version
from settings.model import Cluster

API_PORT = 6443


def minor(cluster: Cluster) -> str:
    """The wanted minor, such as "1.36"."""
    wanted = kubernetes_version.parse_wanted(cluster.kubernetes_version)
    return f"{wanted.major}.{wanted.minor}"


def repository(cluster: Cluster) -> str:
    """The package repository of the wanted minor."""
    return cluster.kubernetes_repository.replace("{minor}", minor(cluster))


def certificate_names(cluster: Cluster) -> list[str]:
    """Every further name and address at which the API server is reached."""
    head = cluster.head
    names = [head.name, str(head.address), str(cluster.connect_address(head))]
    return list(dict.fromkeys(names))


def api_server(cluster: Cluster) -> str:
    """The API server's URL for the operator's machine."""
    return f"https://{cluster.connect_address(cluster.head)}:{API_PORT}"


def proxy_url(cluster: Cluster) -> str:
    """The URL of `kubectl proxy` on the head."""
    return f"http://{cluster.connect_address(cluster.head)}:{cluster.kubectl_proxy_port}"


def labels(cluster: Cluster) -> dict[str, dict[str, str | None]]:
    """Each node's labels."""
    return {node.name: dict(node.node_labels) for node in cluster.nodes}
