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
    """The names and addresses of the first control plane's API server, besides the endpoint."""
    first = cluster.first_control_plane
    return list(dict.fromkeys([first.name, str(first.address), *common_names(cluster)]))


def common_names(cluster: Cluster) -> list[str]:
    """The addresses at which any control plane's API server is reached, besides the endpoint."""
    addresses = [cluster.control_plane_address, _reached_at(cluster)]
    return list(dict.fromkeys(str(each) for each in addresses if each))


def api_server(cluster: Cluster) -> str:
    """The API server's URL for the operator's machine."""
    return f"https://{_reached_at(cluster)}:{API_PORT}"


def proxy_url(cluster: Cluster) -> str:
    """The URL of `kubectl proxy` on the first control plane, for the operator's machine."""
    return f"http://{_gateway_or_first(cluster)}:{cluster.kubectl_proxy_port}"


def contexts(cluster: Cluster) -> list[str]:
    """The contexts in the operator's kubeconfig."""
    return [cluster.kube_context, *([proxy_context(cluster)] if cluster.kubectl_proxy else [])]


def proxy_context(cluster: Cluster) -> str:
    """The context for `kubectl proxy`."""
    return f"{cluster.kube_context}-proxy"


def forwarded_ports(cluster: Cluster) -> dict[int, IPv4Address]:
    """The ports that the gateway passes on for the operator, each with the address behind it: that
    of the control planes, which the gateway may hold itself, or of one behind the gateway."""
    first, ports = cluster.first_control_plane, {}
    if cluster.gateway is None:
        return {}
    if cluster.control_plane_address or first != cluster.gateway:
        ports[API_PORT] = cluster.endpoint_address
    if cluster.kubectl_proxy and first != cluster.gateway:
        ports[cluster.kubectl_proxy_port] = first.address
    return ports


def _reached_at(cluster: Cluster) -> IPv4Address:
    """Where the operator reaches the API server: at the gateway, if there is one."""
    if cluster.gateway is None and cluster.control_plane_address:
        return cluster.control_plane_address
    return _gateway_or_first(cluster)


def _gateway_or_first(cluster: Cluster) -> IPv4Address:
    return cluster.connect_address(cluster.gateway or cluster.first_control_plane)


def labels(cluster: Cluster) -> dict[str, dict[str, str | None]]:
    """Each node's labels."""
    return {node.name: dict(node.node_labels) for node in cluster.nodes}
