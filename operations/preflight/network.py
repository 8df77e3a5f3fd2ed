"""The network of a node: interfaces, resolver, the networks it is on, and what it can reach."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from urllib.parse import urlsplit

from facts.interfaces import InterfacesFiles, InterfacesState
from facts.iptables import Iptables
from facts.kubeadm import ControlPlane
from facts.networks import Networks, NetworksState
from facts.node_record import Record
from facts.reach import Reach
from facts.resolv_conf import Resolver
from messages import preflight as messages
from operations import interfaces as definitions
from operations import resolv_conf as resolvers
from operations.interfaces.plan import Plan
from operations.preflight.node import API_PORT, SSH_PORT, Node, Nodes
from operations.preflight.results import Result, before_cluster, failure, ok, warning

# Interfaces that the cluster itself creates.
POD_INTERFACES = ("cni0", "flannel.1", "kube-ipvs0")
_REFUSED = "Connection refused"  # by a machine that is there


def interfaces(node: Node, nodes: Nodes) -> Result:
    """They exist, only one definition names them, and who manages them releases them."""
    now = node.known(InterfacesFiles)
    networks = node.known(Networks)
    definitions.check_confirmed(now)
    managers = []
    for each in node.desired.interfaces:
        name = each["interface"]
        definitions.check_exists(name, now)
        asked = {key: value for key, value in each.items() if key != "interface"}
        Plan(name, now).define(definitions.make_definition(name, **asked))
        if name in networks.networkd:
            return before_cluster(node, messages.NETWORKD(interface=name))
        manager = _manager(name, now)
        managers.append(f"{name}: {manager}" + ("" if manager == "ifupdown" else ", then ifupdown"))
    return ok("; ".join(managers))


def _manager(name: str, now: InterfacesState) -> str:
    if name in now["up"]:
        return "ifupdown"
    if now["links"][name].nm_state not in ("", "unmanaged"):
        return "NetworkManager"
    return "dhcpcd" if now["units"].get("dhcpcd", ["", ""])[1] == "active" else "nothing"


def resolv_conf(node: Node, nodes: Nodes) -> Result:
    """/etc/resolv.conf is as desired, or can be taken over from the programs that write it."""
    now = node.known(Resolver)
    resolvers.check_manageable(now)
    resolvers.check_replaceable(now, **node.desired.resolver)
    if resolvers.is_configured(now, **node.desired.resolver):
        return ok("as the settings say")
    writers = ", ".join(resolvers.writers(now))
    by = f"written by {writers}" if writers else "written by no known program"
    return ok(f"{by}: the run replaces it permanently")


def overlaps(node: Node, nodes: Nodes) -> Result:
    """The node is on none of the cluster's networks by an interface that does not belong there."""
    for name, network in _networks(node.known(Networks)):
        for setting in node.desired.networks:
            desired = node.desired.network(setting)
            if desired.overlaps(network) and not _belongs(name, setting, node):
                message = messages.NETWORK_OVERLAP(
                    interface=name, network=network, setting=setting, desired=desired
                )
                # A second interface on the cluster network misroutes a gateway's traffic;
                # elsewhere it is only one route too many.
                serious = node.desired.is_gateway or setting in ("pod_network", "service_network")
                return before_cluster(node, message) if serious else warning(message)
    return ok("no overlap with the cluster's")


def _networks(now: NetworksState) -> Iterator[tuple[str, IPv4Network]]:
    """Yield interface and network, except for pods' and for 0.0.0.0/1 and 128.0.0.0/1, with which
    a VPN replaces the default route."""
    for places in (now.addresses, now.routes):
        for name, texts in places.items():
            for text in texts:
                network = IPv4Network(text, strict=False)
                if name not in ("lo", *POD_INTERFACES) and network.prefixlen > 1:
                    yield name, network


def _belongs(name: str, setting: str, node: Node) -> bool:
    """Whether that network may be there: the run configures the interface for it, or removes it."""
    inner, *outer = node.desired.names
    known = node.read(Record)
    if name == inner or (known and f"interface {name}" in known.record.entries):
        return True  # the run replaces its address
    return name in outer and setting == "uplink_network"


def control_plane(node: Node, nodes: Nodes) -> Result | None:
    """All other nodes reach the first control plane, and its API server if there is one."""
    if node.desired.is_first:
        return None
    name, address = node.desired.control_plane, node.desired.control_plane_address
    answers = node.known(Reach)["address"]
    there = nodes.get(name)
    if not _has(node, node.desired.address) or (there and not _has(there, address)):
        return ok(f"not checked: {name} or this node does not have its address yet")
    reason = answers.get(f"{address}:{SSH_PORT}", "not checked")
    if reason not in ("", _REFUSED):
        message = messages.CONTROL_PLANE_UNREACHABLE(name=name, address=address, reason=reason)
        return before_cluster(node, message)
    reason = answers.get(f"{address}:{API_PORT}", "not checked")
    plane = there.read(ControlPlane) if there else None
    if reason and plane is not None and plane.state == "finished":
        server = f"{address}:{API_PORT}"
        if reason == _REFUSED:  # this node asked before the API server started: all ask at once
            return warning(messages.API_SERVER_STARTS(name=name, address=server))
        message = messages.API_SERVER_UNREACHABLE(name=name, address=server, reason=reason)
        return before_cluster(node, message)
    return ok(f"{name} answers at {address}")


def common_address(node: Node, nodes: Nodes) -> Result | None:
    """No other machine has the address that control planes hold in turn."""
    address = node.desired.common_address
    if address is None or not node.desired.is_first:
        return None
    if not _has(node, node.desired.address) or not nodes.keys() >= {*node.desired.control_planes}:
        return ok("not checked: not all control planes are part of this run, with their addresses")
    holders = [name for name, each in nodes.items() if _has(each, address)]
    if len(holders) > 1:
        return warning(messages.ADDRESS_HELD_TWICE(address=address, nodes=", ".join(holders)))
    reason = node.known(Reach)["address"].get(f"{address}:{SSH_PORT}", "not checked")
    if not holders and reason in ("", _REFUSED):
        return failure(messages.ADDRESS_OF_ANOTHER(address=address))
    return ok(f"held by {holders[0]}" if holders else f"nobody has {address}")


def package_servers(node: Node, nodes: Nodes) -> Result:
    """The node reaches the servers that apt fetches from, if something is to be fetched."""
    answers = node.known(Reach)["archive"]
    bad = _unreachable(answers)
    if not bad:
        return ok(", ".join(_server(url) for url in answers) or "none")
    if not _has_default_route(node, nodes):
        return _later(node)
    message = messages.PACKAGE_SERVERS_UNREACHABLE(servers=_list(bad))
    if _run_corrects(node, bad) or node.desired.gateway or node.has_packages:
        return warning(message)
    return failure(message)


def registries(node: Node, nodes: Nodes) -> Result:
    """The node reaches the registries of the images that every node needs."""
    answers = node.known(Reach)["registry"]
    if not node.desired.registries:
        return ok("not needed: this computer sends the images (image_archives)")
    bad = _unreachable(answers)
    if not bad:
        return ok(", ".join(_server(url) for url in answers))
    if not _has_default_route(node, nodes):
        return _later(node)
    return warning(messages.REGISTRIES_UNREACHABLE(servers=_list(bad)))


def _server(url: str) -> str:
    return urlsplit(url).netloc or url


def _unreachable(answers: dict[str, str]) -> dict[str, str]:
    return {_server(url): reason for url, reason in answers.items() if reason}


def _list(bad: dict[str, str]) -> str:
    return ", ".join(f"{server} ({reason})" for server, reason in bad.items())


def _has(node: Node, address: str) -> bool:
    networks = node.read(Networks)
    texts = [text for each in networks.addresses.values() for text in each] if networks else []
    return any(text.partition("/")[0] == address for text in texts)


def _has_default_route(node: Node, nodes: Nodes) -> bool:
    """Whether this node's gateway routes for it already."""
    gateway = node.desired.gateway
    if gateway is None:
        return True
    there = nodes.get(gateway)
    rules = there.read(Iptables) if there else None
    networks = node.read(Networks)
    by_gateway = networks is not None and node.desired.peers[gateway] in networks.default
    return by_gateway and (rules is None or "BRAMBLE-POSTROUTING" in rules.rules)


def _later(node: Node) -> Result:
    return ok(f"not reachable yet: the run sets the default route, by {node.desired.gateway}")


def _run_corrects(node: Node, bad: dict[str, str]) -> bool:
    """Whether the run may correct it: default route missing, or nameservers wrong."""
    networks, resolver = node.read(Networks), node.read(Resolver)
    if networks is not None and not networks.default:
        return True
    unresolved = all("resolv" in reason for reason in bad.values())
    return unresolved and not (
        resolver and resolvers.is_configured(resolver, **node.desired.resolver)
    )
