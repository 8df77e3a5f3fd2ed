"""The cluster that the settings describe, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from formats import resolv_conf
from formats import wifi as wifi_format
from messages import settings as messages
from settings import (
    backup_fields,
    connector_fields,
    fields,
    images,
    kubernetes_fields,
    place_fields,
    rules,
    wifi_key,
)

Role = Literal["control_plane", "worker"]


@dataclass(frozen=True)
class Interface:
    """
    One interface of a node.

    + address: with its prefix; None: from DHCP
    + gateway: of the default route, if it uses this interface and DHCP does not set it
    + default_route: whether the node's default route uses it
    + nat: whether the other nodes' addresses are translated there
    + wifi: whether it is a radio
    + reached: whether the operator reaches the node by it
    """

    name: str
    address: IPv4Interface | None
    gateway: IPv4Address | None
    default_route: bool
    nat: bool
    wifi: bool
    reached: bool


class Node(connector_fields.PerNode):
    """A node: its data in the inventory, and the settings that may differ by node."""

    name: fields.HostName
    role: Role
    address: Annotated[fields.Address, rules.on_cluster_network, rules.unique_address]
    uplink_address: Annotated[
        fields.Address | None,
        rules.on_uplink,
        rules.unique_address,
        Field(validate_default=True),
    ] = None
    first_address: Annotated[fields.Address | None, rules.host_address, rules.unique_address] = None

    admin_user: fields.UserName
    cluster_interface: Annotated[fields.InterfaceName, rules.other_than_uplink]
    nameservers: Annotated[fields.Nameservers, rules.nameservers]
    search_domains: Annotated[fields.Texts, fields.checked(resolv_conf.check_search)]
    resolver_options: Annotated[fields.Texts, fields.checked(resolv_conf.check_options)]
    node_labels: kubernetes_fields.Labels


class Cluster(connector_fields.Derived):
    """All nodes, and the settings that are one for the whole cluster.

    + project: the folder that holds inventory.py and .cluster/
    + nodes: the control plane first, then the workers, each in the inventory's order
    + ssh_private_key: the operator's own key; None for the one in .cluster/
    + password_login: whether SSH takes passwords; None: as the image has it
    + share_downloads: whether one node keeps what the others download too; None: with "nat"
    + control_plane_address: held by one control plane at a time; None: the endpoint is the first's
    + pods_on_control_plane: None: where several control planes are the only nodes
    + guard_seconds: after which an unconfirmed change of a node's network is rolled back
    + pod_network_seconds, nodes_ready_seconds: how long a run waits for the pods of flannel,
      kube-proxy and CoreDNS, and for the nodes
    + renew_days: certificates that are valid for fewer days are renewed
    + drain_seconds: after which a drain that does not end is undone
    + backup_newest, backup_weekly: how many of the newest backups are kept, and of how many weeks
      the newest
    + backup_encryption: "off", "passphrase" or a recipient of age
    + backup_key_file: has the passphrase, or the identity of that recipient
    + backup_schedule: "off" or "daily HH:MM"
    + backup_to: name of the node that gets copies of those

    A rule sees only the fields above its own, so their order matters.
    """

    project: Path

    topology: Literal["nat", "router"]
    cluster_network: Annotated[fields.Network, rules.room_for_nodes, rules.separate]
    router: Annotated[fields.Address, rules.gateway]
    uplink_interface: fields.InterfaceName
    uplink_network: Annotated[fields.Network, rules.separate]
    uplink_gateway: Annotated[fields.Address, rules.gateway]
    uplink_method: Literal["dhcp", "static"]
    pod_network: Annotated[fields.Network, rules.separate, rules.room_for_pods]
    service_network: Annotated[fields.Network, rules.room_for_services, rules.separate]
    wifi_ssid: Annotated[fields.Ssid | None, rules.radio]
    wifi_security: wifi_format.Security
    wifi_hidden: fields.Switch
    wifi_psk_file: Annotated[fields.FilePath, rules.wifi]
    wifi_country: Annotated[place_fields.Country | None, rules.wifi_country]

    ssh_private_key: Annotated[fields.FilePath | None, rules.own_key]
    password_login: fields.Switch | None
    guard_seconds: fields.GuardSeconds
    timezone: place_fields.TimeZone
    locale: place_fields.Locale
    image: Annotated[images.ImageName, rules.image_file]
    image_checksum: Annotated[images.ImageChecksum | None, rules.checksum]
    image_dialect: images.Dialect

    kubernetes_version: kubernetes_fields.KubernetesVersion
    kubernetes_repository: kubernetes_fields.Repository
    kubernetes_key_fingerprint: kubernetes_fields.Fingerprint
    image_repository: kubernetes_fields.ImageRepository
    pause_image: kubernetes_fields.Image
    registry_mirrors: kubernetes_fields.Mirrors
    share_downloads: fields.Switch | None
    image_archives: Annotated[fields.FilePath | None, rules.archives]
    docker: fields.Switch
    control_plane_endpoint: Annotated[fields.HostName, rules.not_a_node]
    control_plane_address: Annotated[fields.Address | None, rules.address_of_control_planes]
    flannel_manifest: Annotated[kubernetes_fields.Manifest, rules.manifest]
    flannel_checksum: Annotated[kubernetes_fields.Checksum, rules.manifest_checksum]
    pod_network_seconds: kubernetes_fields.WaitSeconds
    nodes_ready_seconds: kubernetes_fields.WaitSeconds
    renew_days: kubernetes_fields.RenewDays
    drain_seconds: kubernetes_fields.WaitSeconds
    pods_on_control_plane: fields.Switch | None
    kubeconfig: Annotated[fields.FilePath, rules.one_file]
    kube_context: kubernetes_fields.Context
    kubectl_proxy: fields.Switch
    kubectl_proxy_port: kubernetes_fields.Port
    kubectl_proxy_accept: kubernetes_fields.AcceptedHosts
    kubelet_config: kubernetes_fields.Kubelet
    kube_proxy_config: kubernetes_fields.KubeProxy
    kubeadm_timeouts: kubernetes_fields.Timeouts
    ignore_preflight_errors: kubernetes_fields.IgnoredErrors
    memory_cgroup: fields.Switch

    backup_newest: backup_fields.Newest
    backup_weekly: backup_fields.Weekly
    backup_encryption: backup_fields.Encryption
    backup_key_file: fields.FilePath
    backup_schedule: backup_fields.Schedule
    backup_to: Annotated[fields.HostName | None, rules.copies]

    nodes: Annotated[tuple[Node, ...], rules.remember_cluster]

    @property
    def record(self) -> Path:
        """The record of what is on the operator's computer."""
        return self.project / ".cluster" / "record.json"

    @property
    def backups(self) -> Path:
        """The folder of backups on the operator's computer."""
        return self.project / ".cluster" / "backups"

    @cached_property
    def control_plane(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.role == "control_plane")

    @property
    def first_control_plane(self) -> Node:
        """The node on which kubeadm made the cluster."""
        return self.control_plane[0]

    @property
    def endpoint_address(self) -> IPv4Address:
        """The address to which ``control_plane_endpoint`` leads."""
        return self.control_plane_address or self.first_control_plane.address

    @property
    def control_plane_is_schedulable(self) -> bool:
        """Whether pods may run on control planes as well."""
        if self.pods_on_control_plane is None:
            return len(self.control_plane) > 1 and not self.workers
        return self.pods_on_control_plane

    @cached_property
    def workers(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.role == "worker")

    def node(self, name: str) -> Node:
        """Find a node by its name; ``KeyError`` with a message when there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        names = [node.name for node in self.nodes]
        instead = fields.nearest(name, names) or f"one of {', '.join(names)}"
        raise KeyError(messages.NO_SUCH_NODE(name=name, instead=instead))

    @cached_property
    def gateway(self) -> Node | None:
        """The node that routes for all others and does NAT; None with topology "router"."""
        if self.topology == "router":
            return None
        return next(node for node in self.nodes if node.uplink_address)

    def is_gateway(self, node: Node) -> bool:
        """Whether the node routes for the others."""
        return node == self.gateway

    def gateway_of(self, node: Node) -> str | None:
        """The name of the node through which this one is reached and reaches out, if any."""
        return self.gateway.name if self.gateway and node != self.gateway else None

    @cached_property
    def download_cache(self) -> Node | None:
        """The node that keeps what the others download; None when there is none."""
        shares = self.topology == "nat" if self.share_downloads is None else self.share_downloads
        if not shares or len(self.nodes) < 2:
            return None
        return self.gateway or self.first_control_plane

    def default_gateway(self, node: Node) -> IPv4Address:
        """The address of the node's default route, once deployed."""
        if self.gateway is None:
            return self.router
        return self.uplink_gateway if node == self.gateway else self.gateway.address

    def nameservers_of(self, node: Node) -> tuple[IPv4Address, ...]:
        """The node's nameservers, with the word "router" resolved."""
        router = self.router if self.topology == "router" else self.uplink_gateway
        return tuple(router if server == "router" else server for server in node.nameservers)

    def connect_address(self, node: Node) -> IPv4Address:
        """Where the operator reaches the deployed node: through the gateway, if it has one."""
        if node == self.gateway and node.uplink_address:
            return node.uplink_address
        return node.address

    def interfaces(self, node: Node) -> tuple[Interface, ...]:
        """The interfaces of the deployed node: on the cluster network, and the gateway's uplink."""
        uplink = self.is_gateway(node)
        inner = Interface(
            node.cluster_interface,
            IPv4Interface((node.address, self.cluster_network.prefixlen)),
            gateway=None if uplink else self.default_gateway(node),
            default_route=not uplink,
            nat=False,
            wifi=False,
            reached=not uplink,
        )
        if not uplink:
            return (inner,)
        assert node.uplink_address is not None, "a gateway has one"
        static = self.uplink_method == "static"
        outer = Interface(
            self.uplink_interface,
            IPv4Interface((node.uplink_address, self.uplink_network.prefixlen)) if static else None,
            gateway=self.uplink_gateway if static else None,
            default_route=True,
            nat=True,
            wifi=self.wifi_ssid is not None,
            reached=True,
        )
        return (inner, outer)

    @property
    def host_names(self) -> dict[str, list[str]]:
        """Every node's name at its address on the cluster network, for /etc/hosts; and the API
        server's at ``endpoint_address``."""
        names = {str(node.address): [node.name] for node in self.nodes}
        names.setdefault(str(self.endpoint_address), []).append(self.control_plane_endpoint)
        return names

    @property
    def card_image(self) -> images.Image:
        """The image that SD cards are written with."""
        if self.image in images.CATALOGUE:
            return images.CATALOGUE[self.image]
        source = self.image
        if not images.is_url(source):
            source = str(self.project / Path(source).expanduser())
        name = source.rstrip("/").rpartition("/")[2]
        return images.Image(name, source, self.image_checksum, self.image_dialect)

    def wifi_psk(self) -> SecretStr | None:
        """The Wi-Fi key as the 64 digits that the radio uses, with WPA3 the passphrase itself; None
        when the uplink is a cable."""
        if self.wifi_ssid is None:
            return None
        hashed = self.wifi_security == "wpa2"
        key = wifi_key.read(self.project, self.wifi_psk_file, hashed)
        if not hashed:
            return key
        return SecretStr(wifi_format.psk(key.get_secret_value(), self.wifi_ssid))


# The names of all settings that a person writes.
SETTINGS = (Cluster.model_fields.keys() | Node.model_fields.keys()) - {
    "project",
    "nodes",
    "name",
    "role",
}
