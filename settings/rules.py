"""
Rules between settings: validators that see the fields before theirs.

Each is an ``Annotated`` part of a field in ``settings.model``. Later fields do not see a wrong one,
so that every mistake is reported at once. A node's fields see the cluster's in the context
(``Seen``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from formats import docker_archive, resolv_conf
from formats.kubeadm import config as kubeadm
from formats.unreadable import Unreadable
from messages import Said
from messages import settings as messages
from settings import images, private_key, wifi_key
from settings.backup_fields import OFF, PASSPHRASE
from settings.fields import as_written, nearest, not_allowed, path, reporting_os_errors

_KUBECONFIG = "the path of a file, such as ~/.kube/config"
# How many there may be: etcd needs a majority, and each further member makes its writes slower.
CONTROL_PLANES = (1, 3, 5)
_NETWORKS = ("cluster_network", "uplink_network", "pod_network", "service_network")


@dataclass
class Seen:
    """
    What has been read so far, for the nodes' fields.

    + names: of all nodes
    + control_planes: how many of them are one
    + cluster: the cluster's correct fields
    + taken: addresses, each with its owner
    """

    names: tuple[str, ...]
    control_planes: int = 1
    cluster: Mapping[str, Any] = field(default_factory=dict)
    taken: dict[IPv4Address, str] = field(default_factory=dict)


def _rule(check: Callable[[Any, ValidationInfo], None]) -> AfterValidator:
    def validate(value: Any, info: ValidationInfo[Any]) -> Any:
        with reporting_os_errors():
            check(value, info)
        return value

    return AfterValidator(validate)


def _remember(value: Any, info: ValidationInfo[Any]) -> Any:
    seen: Seen = info.context
    seen.cluster = info.data
    gateway = "router" if info.data.get("topology") == "router" else "uplink_gateway"
    for name in (gateway, "control_plane_address"):
        if info.data.get(name):
            seen.taken[info.data[name]] = name
    return value


# For the field ``nodes``, which is the last.
remember_cluster = BeforeValidator(_remember)


@_rule
def separate(network: IPv4Network, info: ValidationInfo[Any]) -> None:
    nat = info.data.get("topology") == "nat"
    for name in (info.field_name, *_NETWORKS):
        if name == "uplink_network" and not nat:
            if name == info.field_name:
                return
        elif name in info.data and network.overlaps(info.data[name]):
            other = info.data[name]
            raise ValueError(messages.OVERLAP(network=network, name=name, other=other))


@_rule
def room_for_nodes(network: IPv4Network, info: ValidationInfo[Any]) -> None:
    nodes = len(info.context.names) + (info.data.get("topology") == "router")
    if network.num_addresses - 2 < nodes:
        larger = network.supernet(new_prefix=32 - (nodes + 1).bit_length())
        need = f"{nodes} machines"
        raise ValueError(messages.NETWORK_TOO_SMALL(network=network, need=need, instead=larger))


@_rule
def room_for_pods(network: IPv4Network, info: ValidationInfo[Any]) -> None:
    nodes = max(len(info.context.names), 1)
    _refuse(kubeadm.pod_network_mistake(network, nodes))


@_rule
def room_for_services(network: IPv4Network, info: ValidationInfo[Any]) -> None:
    _refuse(kubeadm.service_network_mistake(network))


@_rule
def gateway(address: IPv4Address, info: ValidationInfo[Any]) -> None:
    """Check that each router is on its network."""
    used, name = {
        "router": ("router", "cluster_network"),
        "uplink_gateway": ("nat", "uplink_network"),
    }[str(info.field_name)]
    if info.data.get("topology") == used and name in info.data:
        _place(address, name, info.data[name])


def _place(
    address: IPv4Address, name: str, network: IPv4Network, taken: Collection[IPv4Address] = ()
) -> None:
    free = f"a free one of {network[1]} to {network[-2]}"
    for role, wrong, near in (
        ("network", network[0], network[1]),
        ("broadcast", network[-1], network[-2]),
    ):
        if address == wrong:
            instead = free if near in taken else near
            said = messages.NOT_A_HOST_ADDRESS(
                address=address, role=role, name=name, network=network, instead=instead
            )
            raise ValueError(said)
    if address not in network:
        near = network[int(address) & int(network.hostmask)]
        if near in (network.network_address, network.broadcast_address):
            near = network[1]
        instead = free if near in taken else near
        said = messages.NOT_IN_NETWORK(address=address, name=name, network=network, instead=instead)
        raise ValueError(said)


def _refuse(mistake: Said | None) -> None:
    if mistake:
        raise ValueError(mistake)


# --- a node's own ---------------------------------------------------------------------------------


@_rule
def on_cluster_network(address: IPv4Address, info: ValidationInfo[Any]) -> None:
    if network := info.context.cluster.get("cluster_network"):
        _place(address, "cluster_network", network, info.context.taken)


@_rule
def on_uplink(address: IPv4Address | None, info: ValidationInfo[Any]) -> None:
    """Check the gateway's uplink address; ``placement`` checks which node has one."""
    cluster = info.context.cluster
    network = cluster.get("uplink_network")
    if address is not None and network and cluster.get("topology") == "nat":
        _place(address, "uplink_network", network, info.context.taken)


@_rule
def host_address(address: IPv4Address | None, info: ValidationInfo[Any]) -> None:
    """Check that it is not the network or the broadcast address of a network here."""
    for name in ("cluster_network", "uplink_network"):
        network = info.context.cluster.get(name)
        if network and address and address in network:
            _place(address, name, network, info.context.taken)


@_rule
def unique_address(address: IPv4Address | None, info: ValidationInfo[Any]) -> None:
    """Check that no two nodes have one address, and none has its gateway's."""
    seen: Seen = info.context
    if address is None:
        return
    name = str(info.data.get("name"))
    owner = seen.taken.setdefault(address, name)
    if owner != name:
        raise ValueError(messages.ADDRESS_TAKEN(address=address, owner=owner))


@_rule
def other_than_uplink(interface: str, info: ValidationInfo[Any]) -> None:
    cluster = info.context.cluster
    is_gateway = cluster.get("topology") == "nat" and info.data.get("uplink_address")
    if is_gateway and interface == cluster.get("uplink_interface"):
        raise ValueError(messages.INTERFACE_TWICE(value=repr(interface)))
    if interface.startswith("wl"):
        reason = "bramble connects no radio but the gateway's uplink"
        raise not_allowed(interface, reason, "the name of a wired interface, such as eth0")


@_rule
def nameservers(servers: tuple[IPv4Address | str, ...], info: ValidationInfo[Any]) -> None:
    cluster = info.context.cluster
    router = cluster.get("router" if cluster.get("topology") == "router" else "uplink_gateway")
    found = [router if server == "router" else server for server in servers]
    for name in ("pod_network", "service_network"):
        for server in found:
            if server and server in cluster.get(name, ()):
                said = messages.NAMESERVER_IN_CLUSTER(
                    server=server, name=name, network=cluster[name]
                )
                raise ValueError(said)
    moving = cluster.get("control_plane_address")
    for server in found:
        if server and server in (info.data.get("address"), info.data.get("uplink_address"), moving):
            node = "a control plane" if server == moving else info.data.get("name")
            raise ValueError(messages.NAMESERVER_LOOP(server=server, node=node))
    if cluster.get("topology") == "nat" and cluster.get("router") in servers:
        reason = 'with topology "nat" no machine has the address of `router`'
        instead = '"router" in quotes, which stands for uplink_gateway'
        raise not_allowed(str(cluster["router"]), reason, instead)
    for name in ("cluster_network", "uplink_network"):
        for server in found:
            if isinstance(server, IPv4Address) and server in cluster.get(name, ()):
                _place(server, name, cluster[name])
    if None not in found or not servers:
        resolv_conf.check_nameservers([str(server) for server in found])


# --- the cluster's --------------------------------------------------------------------------------


@_rule
def not_a_node(name: str, info: ValidationInfo[Any]) -> None:
    if name in info.context.names:
        raise ValueError(messages.NAME_TAKEN(value=repr(name)))


@_rule
def address_of_control_planes(address: IPv4Address | None, info: ValidationInfo[Any]) -> None:
    """Check that several control planes have one, which is free; a node's rules compare it with
    the node's addresses."""
    network, count = info.data.get("cluster_network"), info.context.control_planes
    if address is None:
        if count in CONTROL_PLANES[1:]:
            place = network or "cluster_network"
            raise ValueError(messages.CONTROL_PLANE_ADDRESS_MISSING(count=count, network=place))
        return
    if network:
        _place(address, "cluster_network", network)
    if info.data.get("topology") == "router" and address == info.data.get("router"):
        raise ValueError(messages.ADDRESS_TAKEN(address=address, owner="router"))


@_rule
def radio(ssid: str | None, info: ValidationInfo[Any]) -> None:
    """Check that the uplink can join a Wi-Fi network."""
    interface = info.data.get("uplink_interface", "wlan0")
    if info.data.get("topology") == "nat" and ssid and not interface.startswith("wl"):
        reason = f'uplink_interface "{interface}" is a wired one'
        raise not_allowed(ssid, reason, "None, or uplink_interface with the name of a radio: wlan0")


@_rule
def wifi(file: Path, info: ValidationInfo[Any]) -> None:
    if info.data.get("topology") == "nat" and info.data.get("wifi_ssid") is not None:
        security = info.data.get("wifi_security")
        wifi_key.read(info.data["project"], file, hashed=security != "wpa3")


@_rule
def wifi_country(country: str | None, info: ValidationInfo[Any]) -> None:
    if info.data.get("topology") == "nat" and info.data.get("wifi_ssid") and country is None:
        raise ValueError(messages.WIFI_COUNTRY_MISSING())


def _kubeconfig(file: Path, shown: str) -> None:
    from formats import kubeconfig  # slow to import, and not needed where there is no file

    if not file.is_file():
        raise ValueError(messages.NOT_A_FILE(path=shown, instead=_KUBECONFIG))
    try:
        kubeconfig.parse(file.read_text(encoding="utf-8"))
    except (Unreadable, UnicodeDecodeError) as error:
        reason = error if isinstance(error, Unreadable) else "not UTF-8"
        raise ValueError(messages.NOT_A_KUBECONFIG(path=shown, reason=reason)) from None


def _must_be_file(text: str, info: ValidationInfo[Any], instead: str) -> None:
    """Raise ``ValueError`` unless it is a file on this computer."""
    file: Path = info.data["project"] / path(text)
    if not file.is_file():
        raise ValueError(messages.NOT_A_FILE(path=repr(text), instead=instead))


@_rule
def image_file(text: str, info: ValidationInfo[Any]) -> None:
    if text in images.CATALOGUE or images.is_url(text):
        return
    _must_be_file(text, info, 'the path of an image, or "raspios"')


@_rule
def checksum(value: str | None, info: ValidationInfo[Any]) -> None:
    if images.is_url(info.data.get("image", "")) and value is None:
        raise ValueError(messages.CHECKSUM_MISSING())


@_rule
def own_key(path: Path | None, info: ValidationInfo[Any]) -> None:
    if path is not None:
        private_key.check(info.data["project"], path, agent=bool(info.data.get("ssh_allow_agent")))


@_rule
def copies(node: str | None, info: ValidationInfo[Any]) -> None:
    """Check that copies of backups go to another node, and do not leave the first one readable."""
    if node is None:
        return
    first, *others = info.context.names
    if node not in others:
        instead = nearest(node, others) or " or ".join(others) or "None"
        raise ValueError(messages.NO_NODE_FOR_COPIES(name=node, first=first, instead=instead))
    if info.data.get("backup_schedule") == OFF:
        raise ValueError(messages.COPIES_WITHOUT_SCHEDULE())
    if info.data.get("backup_encryption") == PASSPHRASE:
        raise ValueError(messages.COPIES_WITH_PASSPHRASE())


@_rule
def archives(folder: Path | None, info: ValidationInfo[Any]) -> None:
    if folder is None:
        return
    there, written = info.data["project"] / folder, f"'{folder}'"
    if not there.is_dir():
        instead = "a folder with image archives, or None"
        raise ValueError(messages.NOT_A_FOLDER(path=written, instead=instead))
    if not any(there.glob(docker_archive.PATTERN)):
        raise ValueError(messages.NO_ARCHIVES(path=written, pattern=docker_archive.PATTERN))


@_rule
def manifest(text: str, info: ValidationInfo[Any]) -> None:
    if "://" in text:
        return
    _must_be_file(text, info, "an https:// URL, or the path of a file")
    from formats import flannel  # as slow

    try:
        flannel.adapted(_content(text, info).decode(), "10.244.0.0/16", "eth0")
    except (Unreadable, UnicodeDecodeError) as error:
        reason = error if isinstance(error, Unreadable) else "it is not UTF-8"
        raise not_allowed(text, reason, "the path of a release's kube-flannel.yml") from None


@_rule
def manifest_checksum(checksum: str, info: ValidationInfo[Any]) -> None:
    """Check the sum of a manifest on this computer."""
    text = info.data.get("flannel_manifest", "://")
    actual = checksum if "://" in text else sha256(_content(text, info)).hexdigest()
    if checksum.lower() != actual.lower():
        kind = f"the SHA-256 of {text}"
        raise ValueError(messages.INVALID(value=repr(checksum), kind=kind, instead=actual))


def _content(text: str, info: ValidationInfo[Any]) -> bytes:
    file: Path = info.data["project"] / path(text)
    return file.read_bytes()


@_rule
def one_file(path: Path, info: ValidationInfo[Any]) -> None:
    """Check that the kubeconfig is one file, unlike the variable KUBECONFIG."""
    file: Path = info.data["project"] / path
    shown = as_written(path)
    if file.is_dir():
        raise ValueError(messages.NOT_A_FILE(path=shown, instead=_KUBECONFIG))
    if file.exists():
        _kubeconfig(file, shown)
    if os.pathsep in str(path) and not file.exists():
        said = messages.INVALID(value=shown, kind="the path of one file", instead=_KUBECONFIG)
        raise ValueError(said)
    blocking = next((parent for parent in file.parents if parent.exists()), None)
    if blocking and not blocking.is_dir():
        instead = f"another path: {shown} is below it"
        raise ValueError(messages.NOT_A_FOLDER(path=f"'{blocking.name}'", instead=instead))
