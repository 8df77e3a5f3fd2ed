"""Values derived from the settings of Kubernetes."""

from __future__ import annotations

from ipaddress import IPv4Address

from formats import kubernetes_version
from settings.model import Cluster

API_PORT = 6443


def minor(cluster: Cluster) -> str:
    """The desired minor, such as "1.36"."""
    desired = kubernetes_version.parse_desired(cluster.kubernetes_version)
    return f"{desired.major}.{desired.minor}"


def repository(cluster: Cluster) -> str:
    """The package repository of the desired minor."""
    return cluster.kubernetes_repository.replace("{minor}", minor(cluster))


def certificate_names(cluster: Cluster) -> list[str]:
    """All other names and addresses at which the API server is reached."""
    first = cluster.first_control_plane
    names = [first.name, str(first.address), str(_reached_at(cluster))]
    return list(dict.fromkeys(names))


def api_server(cluster: Cluster) -> str:
    """The API server's URL for the operator's machine."""
    return f"https://{_reached_at(cluster)}:{API_PORT}"


def proxy_url(cluster: Cluster) -> str:
    """The URL of `kubectl proxy` on the control plane, for the operator's machine."""
    return f"http://{_reached_at(cluster)}:{cluster.kubectl_proxy_port}"


def contexts(cluster: Cluster) -> list[str]:
    """The contexts in the operator's kubeconfig."""
    return [cluster.kube_context, *([proxy_context(cluster)] if cluster.kubectl_proxy else [])]


def proxy_context(cluster: Cluster) -> str:
    """The context for `kubectl proxy`."""
    return f"{cluster.kube_context}-proxy"


def forwarded_ports(cluster: Cluster) -> list[int]:
    """The ports that the gateway passes on to a control plane behind it, for the operator."""
    if cluster.gateway_of(cluster.first_control_plane) is None:
        return []
    return [API_PORT, *([cluster.kubectl_proxy_port] if cluster.kubectl_proxy else [])]


def _reached_at(cluster: Cluster) -> IPv4Address:
    """Where the operator reaches the control plane: at the gateway, when it is behind one."""
    return cluster.connect_address(cluster.gateway or cluster.first_control_plane)


def labels(cluster: Cluster) -> dict[str, dict[str, str | None]]:
    """Each node's labels."""
    return {node.name: dict(node.node_labels) for node in cluster.nodes}
