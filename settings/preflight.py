"""What the settings want of a node, for the look at it before anything is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from settings import kubernetes

if TYPE_CHECKING:
    from settings.model import Cluster, Node

# Where flannel's manifest, as its project publishes it, has its images.
_FLANNEL_REGISTRY = "ghcr.io"


def wanted(cluster: Cluster, node: Node) -> dict[str, Any]:
    """The arguments of `preflight.look`."""
    head, is_head = cluster.head, node.role == "head"
    nat = cluster.topology == "nat"
    names = ["cluster_network", "pod_network", "service_network", *["uplink_network"] * nat]
    proxy = {str(cluster.kubectl_proxy_port): "kubectl_proxy_port"} if cluster.kubectl_proxy else {}
    return {
        "role": node.role,
        "user": node.admin_user,
        "address": str(node.address),
        "interfaces": [
            {
                "interface": each.name,
                "method": "static" if each.address else "dhcp",
                "address": str(each.address) if each.address else None,
                "gateway": str(each.gateway) if each.gateway else None,
            }
            for each in cluster.interfaces(node)
        ],
        "networks": {name: str(getattr(cluster, name)) for name in names},
        "resolver": {
            "nameservers": [str(server) for server in cluster.nameservers_of(node)],
            "search": list(node.search_domains),
            "options": list(node.resolver_options),
        },
        "head": head.name,
        "head_address": str(head.address),
        "peers": {each.name: str(each.address) for each in cluster.nodes if each.name != node.name},
        "way_out": cluster.way_out(node),
        "translates": nat and is_head,
        "ignored": list(cluster.ignore_preflight_errors),
        "memory_cgroup": cluster.memory_cgroup,
        "ports": proxy if is_head else {},
        "archives": [f"{kubernetes.repository(cluster).rstrip('/')}/InRelease"],
        "registries": _registries(cluster),
    }


def _registries(cluster: Cluster) -> list[str]:
    """Where the images come from that every node needs; nowhere, when this computer sends them."""
    if cluster.image_archives:
        return []
    images = (cluster.image_repository, cluster.pause_image)
    named = [*(image.partition("/")[0] for image in images), _FLANNEL_REGISTRY]
    mirrors = cluster.registry_mirrors
    places = [mirrors.get(name, mirrors.get("_default", f"https://{name}")) for name in named]
    return [f"{place.rstrip('/')}/v2/" for place in dict.fromkeys(places)]
