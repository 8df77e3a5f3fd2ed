"""The cluster that the settings describe, and what follows from them."""

from __future__ import annotations

from functools import cached_property
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, SecretStr

from settings import card_fields, fields, images, interfaces, kubernetes_fields, wifi

Role = Literal["head", "worker"]


class Node(BaseModel):
    """One node: what is said of it in the inventory, and the settings that may differ by node."""

    model_config = ConfigDict(frozen=True)

    name: str
    role: Role
    address: fields.Address
    uplink_address: fields.OptionalAddress = None
    first_address: fields.OptionalAddress = None

    admin_user: fields.UserName
    cluster_interface: fields.InterfaceName
    nameservers: fields.Nameservers
    search_domains: fields.SearchDomains
    resolver_options: fields.ResolverOptions
    node_labels: kubernetes_fields.Labels


class Cluster(BaseModel):
    """All nodes, and the settings that are one for the whole cluster.

    + desk: the folder that holds inventory.py and .cluster/
    + nodes: head first, then the workers in the inventory's order
    + ssh_private_key: the operator's own key; None for the one in .cluster/
    + password_login: whether SSH takes passwords; None: as the image has it
    + guard_seconds: after which an unconfirmed change of a node's network goes back
    + pod_network_seconds, nodes_ready_seconds: that the pods of flannel, kube-proxy and CoreDNS,
      and the nodes, are waited for
    """

    model_config = ConfigDict(frozen=True)

    desk: Path
    nodes: tuple[Node, ...]

    topology: fields.Topology
    cluster_network: fields.Network
    router: fields.Address
    pod_network: fields.Network
    service_network: fields.Network
    ssh_private_key: fields.OptionalFilePath
    password_login: fields.OptionalSwitch
    guard_seconds: fields.GuardSeconds
    timezone: card_fields.TimeZone
    locale: card_fields.Locale

    kubernetes_version: kubernetes_fields.KubernetesVersion
    kubernetes_repository: kubernetes_fields.Url
    kubernetes_key_fingerprint: kubernetes_fields.Fingerprint
    image_repository: kubernetes_fields.Image
    pause_image: kubernetes_fields.Image
    registry_mirrors: kubernetes_fields.Mirrors
    image_archives: fields.OptionalFilePath
    docker: fields.Switch
    control_plane_endpoint: kubernetes_fields.HostName
    flannel_manifest: kubernetes_fields.Text
    flannel_checksum: kubernetes_fields.Checksum
    pod_network_seconds: kubernetes_fields.WaitSeconds
    nodes_ready_seconds: kubernetes_fields.WaitSeconds
    pods_on_head: fields.Switch
    kubeconfig: fields.FilePath
    kube_context: kubernetes_fields.Text
    kubectl_proxy: fields.Switch
    kubectl_proxy_port: kubernetes_fields.Port
    kubectl_proxy_accept: kubernetes_fields.AcceptedHosts
    kubelet_config: kubernetes_fields.Mapping
    kube_proxy_config: kubernetes_fields.Mapping
    kubeadm_timeouts: kubernetes_fields.Texts
    ignore_preflight_errors: kubernetes_fields.Words
    memory_cgroup: fields.Switch

    uplink_interface: fields.InterfaceName
    uplink_network: fields.Network
    uplink_gateway: fields.Address
    uplink_method: fields.UplinkMethod
    wifi_ssid: fields.OptionalSsid
    wifi_psk_file: fields.FilePath
    wifi_country: fields.OptionalCountry

    image: images.ImageName
    image_checksum: images.ImageChecksum
    image_dialect: images.ImageDialect

    @cached_property
    def head(self) -> Node:
        return next(node for node in self.nodes if node.role == "head")

    @cached_property
    def workers(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.role == "worker")

    def node(self, name: str) -> Node:
        """The node of that name. Raises `KeyError` when there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        names = (node.name for node in self.nodes)
        raise KeyError(f"no node {name} in the inventory{fields.did_you_mean(name, names)}")

    def behind_head(self, node: Node) -> bool:
        """Whether the node is reached, and reaches out, through the head only."""
        return self.topology == "nat" and node.role == "worker"

    def gateway(self, node: Node) -> IPv4Address:
        """The node's default gateway, once deployed."""
        if self.topology == "router":
            return self.router
        return self.uplink_gateway if node.role == "head" else self.head.address

    def nameservers_of(self, node: Node) -> tuple[IPv4Address, ...]:
        """The node's nameservers, with the word "router" resolved."""
        router = self.router if self.topology == "router" else self.uplink_gateway
        return tuple(router if server == "router" else server for server in node.nameservers)

    def connect_address(self, node: Node) -> IPv4Address:
        """Where the operator's machine finds the deployed node; a worker behind the head is found
        there from the head."""
        if self.topology == "nat" and node.uplink_address:
            return node.uplink_address
        return node.address

    def interfaces(self, node: Node) -> tuple[interfaces.Interface, ...]:
        """The node's interfaces, once deployed."""
        return interfaces.of(self, node)

    def way_out(self, node: Node) -> str | None:
        """The name of the node through which this one reaches the world, None: no other node."""
        return self.head.name if self.behind_head(node) else None

    @property
    def host_names(self) -> dict[str, list[str]]:
        """Every node's name at its address on the cluster network, for /etc/hosts; the head's
        also has the API server's."""
        names = {str(node.address): [node.name] for node in self.nodes}
        names[str(self.head.address)].append(self.control_plane_endpoint)
        return names

    def wifi_psk(self) -> SecretStr | None:
        """The Wi-Fi key as the 64 digits that the radio uses, None when the uplink is a cable."""
        if self.wifi_ssid is None:
            return None
        return wifi.hashed(self.wifi_ssid, wifi.read_key(self.desk, self.wifi_psk_file))
