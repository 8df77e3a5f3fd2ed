"""The specification of each node: arguments of operations, for deploys and preflight alike."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from formats import shared_downloads as formats
from settings import backup_fields, kubernetes
from settings.model import Cluster, Interface, Node
from settings.run import is_whole, options

# The registry of the images in flannel's published manifest.
_FLANNEL_REGISTRY = "ghcr.io"


def interface(each: Interface) -> dict[str, Any]:
    """An interface's definition, for ``interfaces.interface``."""
    return {
        "interface": each.name,
        "method": "static" if each.address else "dhcp",
        "address": str(each.address) if each.address else None,
        "gateway": str(each.gateway) if each.gateway else None,
    }


def access_point(cluster: Cluster) -> dict[str, Any]:
    """The Wi-Fi network of a radio without its key, for ``interfaces.interface``."""
    return {
        "wifi_ssid": cluster.wifi_ssid,
        "wifi_country": cluster.wifi_country,
        "wifi_security": cluster.wifi_security,
        "wifi_hidden": cluster.wifi_hidden,
    }


def resolver(cluster: Cluster, node: Node) -> dict[str, list[str]]:
    """The node's DNS resolver, for ``resolv_conf.resolver``."""
    return {
        "nameservers": [str(server) for server in cluster.nameservers_of(node)],
        "search": list(node.search_domains),
        "options": list(node.resolver_options),
    }


def shared_downloads(cluster: Cluster) -> dict[str, Any]:
    """What the node that keeps downloads is configured with, for ``shared_downloads.server``."""
    assert cluster.download_cache is not None
    return {
        "address": str(cluster.download_cache.address),
        "nameservers": [str(each) for each in cluster.nameservers_of(cluster.download_cache)],
        "kubernetes": cluster.kubernetes_repository,
        "mirrors": cluster.registry_mirrors,
    }


def repository(cluster: Cluster) -> dict[str, Any]:
    """The repository of the desired minor's packages, for ``packages.repository``."""
    cache = cluster.download_cache
    return {
        "url": kubernetes.repository(cluster),
        "fingerprint": cluster.kubernetes_key_fingerprint,
        "cache": cache and formats.kept_packages(str(cache.address), kubernetes.minor(cluster)),
    }


def repository_of(cluster: Cluster, version: str) -> dict[str, Any]:
    """The repository of another version's packages, such as a backup's."""
    return repository(cluster.model_copy(update={"kubernetes_version": version}))


def registries(cluster: Cluster) -> dict[str, Any]:
    """Where containerd looks first for a registry's images, for ``containerd.runtime``."""
    cache = cluster.download_cache
    return {
        "mirrors": cluster.registry_mirrors,
        "cache": cache and formats.url(str(cache.address)),
    }


def registration(cluster: Cluster, node: Node) -> dict[str, Any]:
    """A node's registration in the cluster, for ``kubeadm.init`` and ``kubeadm.join``."""
    return {
        "node": node.name,
        "address": str(node.address),
        "endpoint": cluster.control_plane_endpoint,
        "timeouts": cluster.kubeadm_timeouts,
        "ignore_preflight_errors": cluster.ignore_preflight_errors,
    }


def control_plane(cluster: Cluster) -> dict[str, Any]:
    """The other arguments of ``kubeadm.init``."""
    return {
        "pod_network": str(cluster.pod_network),
        "service_network": str(cluster.service_network),
        "cert_names": kubernetes.certificate_names(cluster),
        "image_repository": cluster.image_repository,
        "kubelet_config": cluster.kubelet_config,
        "kube_proxy_config": cluster.kube_proxy_config,
    }


def addresses_of_control_planes(cluster: Cluster) -> dict[str, str]:
    """The addresses of all control planes, by name."""
    return {each.name: str(each.address) for each in cluster.control_plane}


def certificate(cluster: Cluster, node: Node) -> dict[str, Any]:
    """The names of a control plane's API server, for ``certificate_names.certified``."""
    return {
        "node": node.name,
        "address": str(node.address),
        "endpoint": cluster.control_plane_endpoint,
        "cert_names": kubernetes.common_names(cluster),
    }


def endpoint(cluster: Cluster) -> dict[str, Any]:
    """Where the API server's name leads, for ``kube_proxy.endpoint``."""
    return {
        "address": str(cluster.endpoint_address),
        "is_common": cluster.control_plane_address is not None,
    }


def control_plane_address(cluster: Cluster, node: Node) -> dict[str, Any]:
    """A control plane's part in holding the address in common, for ``keepalived.address``."""
    planes = cluster.control_plane
    return {
        "shared": str(cluster.control_plane_address),
        "interface": node.cluster_interface,
        "own": str(node.address),
        "peers": [str(each.address) for each in planes if each != node],
        "priority": 100 - planes.index(node),
    }


def other_control_planes(cluster: Cluster, node: Node) -> dict[str, Any]:
    """The other arguments of ``control_planes.join``."""
    others = [each for each in cluster.control_plane if each != node]
    return {
        "control_planes": {each.name: str(each.address) for each in others},
        "image_repository": cluster.image_repository,
    }


def whole_run(cluster: Cluster) -> dict[str, Any]:
    """What this run declares, for ``removals``."""
    text = cluster.model_dump_json(exclude={"project"})
    return {
        "whole": is_whole(),
        "record": str(cluster.record),
        "take_over": options().get("take_over"),
        "nodes": {each.name: str(each.address) for each in cluster.nodes},
        "settings": sha256(text.encode()).hexdigest()[:32],
    }


def context(cluster: Cluster) -> dict[str, Any]:
    """The context in the operator's kubeconfig, for ``kubeconfig.operator``."""
    return {
        "path": str(cluster.kubeconfig),
        "context": cluster.kube_context,
        "server": kubernetes.api_server(cluster),
        "record": str(cluster.record),
        "control_planes": [each.name for each in cluster.control_plane],
    }


def readiness(cluster: Cluster) -> dict[str, Any]:
    """Which nodes are waited for, and for how long, for ``nodes.ready``."""
    return {
        "names": [each.name for each in cluster.nodes],
        "seconds": cluster.nodes_ready_seconds,
    }


def labels_and_taints(cluster: Cluster) -> dict[str, Any]:
    """The labels of all nodes, and where pods may run, for ``nodes.labels_and_taints``."""
    return {
        "labels": kubernetes.labels(cluster),
        "control_planes": [each.name for each in cluster.control_plane],
        "schedulable": cluster.control_plane_is_schedulable,
    }


def restore(cluster: Cluster, node: Node) -> dict[str, Any]:
    """What is restored on a control plane, and from what, for ``restore.possible``."""
    given, storage = options(), backup_storage(cluster)
    return {
        "cluster": cluster.kube_context,
        "node": node.name,
        "control_planes": addresses_of_control_planes(cluster),
        "named": "node" in given,
        "kubernetes_version": cluster.kubernetes_version,
        "workers": [each.name for each in cluster.workers],
        "folder": storage["folder"],
        "backup": given.get("backup"),
        "key_file": storage["key_file"],
        "kubeconfig_path": str(cluster.kubeconfig),
        "yes": given.get("yes"),
        "anyway": "healthy" in given,
    }


def restored_nodes(cluster: Cluster, node: Node) -> dict[str, Any]:
    """The nodes of a cluster that is restored on a control plane, for ``restore.reconciled``."""
    return {
        "control_plane": node.name,
        "others": [each.name for each in cluster.nodes if each != node],
        "seconds": cluster.nodes_ready_seconds,
    }


def control_planes(cluster: Cluster) -> dict[str, Any]:
    """The addresses of the control planes, for what works on one after the other."""
    return {
        "addresses": addresses_of_control_planes(cluster),
        "shared": str(cluster.endpoint_address),
    }


def rollout(cluster: Cluster, deploy: str, reboots: bool = True) -> dict[str, Any]:
    """
    The order and the patience of a roll-out, for ``rollout.prepared``.

    + reboots: whether nodes are rebooted, which cuts off those behind the gateway
    """
    return {
        "deploy": deploy,
        **control_planes(cluster),
        "nodes": [each.name for each in (*cluster.control_plane, *cluster.workers)],
        "gateway": cluster.gateway.name if cluster.gateway and reboots else None,
        "drain_seconds": cluster.drain_seconds,
        "ready_seconds": cluster.nodes_ready_seconds,
    }


def flannel_manifest(cluster: Cluster) -> dict[str, Any]:
    """flannel's manifest, for ``kubeadm.images`` and ``flannel.flannel``."""
    return {
        "url": cluster.flannel_manifest,
        "checksum": cluster.flannel_checksum,
        "folder": str(cluster.project / ".cluster" / "downloads"),
    }


def flannel(cluster: Cluster, node: Node) -> dict[str, Any]:
    """The pod network, for ``flannel.flannel`` on the control plane."""
    return {
        **flannel_manifest(cluster),
        "pod_network": str(cluster.pod_network),
        "interface": node.cluster_interface,
        "seconds": cluster.pod_network_seconds,
    }


def backup(cluster: Cluster) -> dict[str, Any]:
    """What is backed up, and to where, for ``backup.taken``."""
    return {
        "cluster": cluster.kube_context,
        "control_planes": addresses_of_control_planes(cluster),
        "storage": backup_storage(cluster),
    }


def backup_storage(cluster: Cluster) -> dict[str, Any]:
    """How backups are kept on this computer."""
    return {
        "folder": str(cluster.backups),
        "newest": cluster.backup_newest,
        "weekly": cluster.backup_weekly,
        "encryption": cluster.backup_encryption,
        "key_file": str(cluster.project / cluster.backup_key_file),
    }


def backup_makers(cluster: Cluster) -> dict[str, str]:
    """
    The addresses of the control planes that make scheduled backups, by name: not of one that gets
    the copies, whose card would take both along.
    """
    planes = addresses_of_control_planes(cluster)
    return {name: address for name, address in planes.items() if name != cluster.backup_to}


def backup_schedule(cluster: Cluster) -> dict[str, Any]:
    """What the control planes back up without this computer, for ``schedule.schedule``."""
    to = cluster.node(cluster.backup_to) if cluster.backup_to else None
    is_recipient = cluster.backup_encryption not in (backup_fields.OFF, backup_fields.PASSPHRASE)
    return {
        "time": cluster.backup_schedule.removeprefix("daily "),
        "newest": cluster.backup_newest,
        "cluster": cluster.kube_context,
        "makers": backup_makers(cluster),
        "to": to.name if to else "",
        "to_address": str(to.address) if to else "",
        "recipient": cluster.backup_encryption if is_recipient else "",
    }


def kubectl_proxy(cluster: Cluster) -> dict[str, Any]:
    """Where ``kubectl proxy`` listens, for ``kubectl_proxy.service``."""
    return {
        "address": str(cluster.connect_address(cluster.first_control_plane)),
        "port": cluster.kubectl_proxy_port,
        "accept": list(cluster.kubectl_proxy_accept),
    }


def preflight(cluster: Cluster, node: Node, asked: Node) -> dict[str, Any]:
    """
    What preflight checks a node for, for ``preflight.gather``.

    + asked: the control plane that knows the cluster
    """
    planes = sorted(cluster.control_plane, key=lambda each: each != asked)
    names = ["cluster_network", "pod_network", "service_network"]
    names += ["uplink_network"] if cluster.gateway else []
    proxy = {str(cluster.kubectl_proxy_port): "kubectl_proxy_port"} if cluster.kubectl_proxy else {}
    return {
        "role": node.role,
        "user": node.admin_user,
        "address": str(node.address),
        "interfaces": [interface(each) for each in cluster.interfaces(node)],
        "networks": {name: str(getattr(cluster, name)) for name in names},
        "resolver": resolver(cluster, node),
        "kubernetes_version": cluster.kubernetes_version,
        "control_planes": {each.name: str(each.address) for each in planes},
        "common_address": str(common) if (common := cluster.control_plane_address) else None,
        "peers": {each.name: str(each.address) for each in cluster.nodes if each.name != node.name},
        "gateway": cluster.gateway_of(node),
        "is_gateway": cluster.is_gateway(node),
        "ignored": list(cluster.ignore_preflight_errors),
        "memory_cgroup": cluster.memory_cgroup,
        "ports": proxy if node == cluster.first_control_plane else {},
        "downloads": cluster.download_cache.name if cluster.download_cache else None,
        "archives": [f"{kubernetes.repository(cluster).rstrip('/')}/InRelease"],
        "registries": _registries(cluster),
    }


def _registries(cluster: Cluster) -> list[str]:
    """The registries of the images that every node needs; none when this computer sends them."""
    if cluster.image_archives:
        return []
    images = (cluster.image_repository, cluster.pause_image)
    named = [*(image.partition("/")[0] for image in images), _FLANNEL_REGISTRY]
    mirrors = cluster.registry_mirrors
    places = [mirrors.get(name, mirrors.get("_default", f"https://{name}")) for name in named]
    return [f"{place.rstrip('/')}/v2/" for place in dict.fromkeys(places)]
