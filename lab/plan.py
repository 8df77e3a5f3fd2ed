"""
The plan of a lab: names and addresses, derived from the cluster's settings.

`up` saves the plan, and later commands and supervisors load it, so that a running lab does not
change with the files that it was made from.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from lab import host
from lab.errors import LabError
from messages import lab as messages
from settings import Cluster, Node

MAX_WORKERS = 8
RESERVED_NAMES = ("switch", "router", "operator", "services")


@dataclass(frozen=True)
class Port:
    """
    One network card of a node.

    + interface: its name in the node
    + mac: its hardware address, the same at every boot
    + bridge: what its cable goes to: `lan` or `cluster`
    """

    interface: str
    mac: str
    bridge: str


@dataclass(frozen=True)
class NodePlan:
    """
    One node.

    + index: from 1; kernel names that must be short are made from it
    + reserved: the address that the lan's DHCP keeps for it, if any
    + spare: not in the inventory, only asked for by `--workers`
    """

    name: str
    index: int
    role: str
    address: str
    ports: tuple[Port, ...]
    reserved: str | None = None
    spare: bool = False

    def ports_named(self, interface: str | None) -> list[Port]:
        """The port of that name, or all of them for None; a LabError if there is none."""
        ports = [port for port in self.ports if interface in (None, port.interface)]
        if not ports:
            names = ", ".join(port.interface for port in self.ports)
            raise LabError(
                messages.INTERFACE(node=self.name, interface=interface, interfaces=names)
            )
        return ports


@dataclass(frozen=True)
class Plan:
    """
    The whole lab.

    + name: of the lab, the prefix of everything it makes
    + project: the folder with inventory.py
    + lan: the operator's network: in front of the gateway (nat) or the cluster's own (router)
    + router: the router's address on it: default route, DHCP, DNS, apt proxy
    + operator: the operator's own address on it
    + pool: first and last address that DHCP gives to strangers
    + transfer: the link between the lab's router and this machine
    + rootfs: the nodes' common root file system
    """

    name: str
    project: str
    topology: str
    lan: str
    router: str
    operator: str
    pool: tuple[str, str]
    transfer: str
    rootfs: str
    nodes: tuple[NodePlan, ...] = field(default=())

    def node(self, name: str) -> NodePlan:
        """The node of that name; a LabError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.nodes)
        raise LabError(messages.NODE(name=name, nodes=names))

    @property
    def prefix_length(self) -> int:
        """Of the lan."""
        return IPv4Network(self.lan).prefixlen

    @property
    def lan_bridge(self) -> str:
        """The bridge on which the router and the operator are."""
        return "lan" if self.topology == "nat" else "cluster"


def check_name(name: str) -> str:
    """Check a lab's name, which becomes part of namespaces and hostnames."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,19}", name):
        raise LabError(messages.NAME(name=name))
    return name


def state_directory(name: str) -> Path:
    """Where the lab called `name` keeps its state."""
    return host.home() / "labs" / name


def mac_address(node: str, interface: str) -> str:
    """A locally administered hardware address, always the same for a node's interface."""
    digest = hashlib.sha256(f"{node} {interface}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def _ports(node: Node, cluster: Cluster) -> tuple[Port, ...]:
    names = [(node.cluster_interface, "cluster")]
    if cluster.is_gateway(node):
        names.append((cluster.uplink_interface, "lan"))
    return tuple(Port(name, mac_address(node.name, name), bridge) for name, bridge in names)


def _reserved(node: Node, cluster: Cluster) -> str | None:
    """What the lan's DHCP keeps for the node: only cards that are on the lan can ask for it."""
    if cluster.gateway_of(node):
        return None
    address = node.first_address
    if cluster.topology == "nat":
        address = address or node.uplink_address
    return str(address) if address else None


def _free_addresses(network: IPv4Network, taken: set[IPv4Address]) -> tuple[str, tuple[str, str]]:
    """An address for the operator and a range for DHCP, in the upper half, clear of `taken`."""
    size = network.num_addresses
    if size < 16:
        raise LabError(messages.NETWORK_SIZE(network=network))
    first = last = int(network.network_address) + size // 2
    best = (first, first)
    operator = next(
        address
        for address in (network.broadcast_address - step for step in range(1, size))
        if address not in taken
    )
    # The longest run without anybody's address in it.
    for value in range(first, int(operator)):
        if IPv4Address(value) in taken:
            first = value + 1
        last = value
        if last - first > best[1] - best[0]:
            best = (first, last)
    return str(operator), (str(IPv4Address(best[0])), str(IPv4Address(best[1])))


def choose_nodes(cluster: Cluster, workers: int | None) -> list[tuple[Node, bool]]:
    """
    The cluster's nodes to boot, each with whether it is a spare one.

    + workers: how many; None: those of the inventory
    """
    wanted = len(cluster.workers) if workers is None else workers
    if not 0 <= wanted <= MAX_WORKERS:
        raise LabError(messages.WORKERS(number=wanted, most=MAX_WORKERS))
    # The others depend on the gateway: a worker that is the gateway is the first to be booted.
    others = sorted(cluster.workers, key=lambda node: not cluster.is_gateway(node))
    if wanted == 0 and others and cluster.is_gateway(others[0]):
        raise LabError(messages.NO_GATEWAY(number=wanted, node=others[0].name))
    chosen = [(node, False) for node in [*cluster.control_plane, *others[:wanted]]]
    taken = {node.name for node in cluster.nodes} | {str(node.address) for node in cluster.nodes}
    taken.add(str(cluster.control_plane_address))
    last = cluster.nodes[-1]
    number, address = len(cluster.nodes), last.address
    while len(chosen) < wanted + len(cluster.control_plane):
        number, address = number + 1, address + 1
        name = f"node{number}"
        if name in taken or str(address) in taken:
            continue
        if address not in cluster.cluster_network:
            raise LabError(messages.NO_ADDRESS(network=cluster.cluster_network))
        spare = {
            "name": name,
            "address": address,
            "uplink_address": None,
            "first_address": None,
            "role": "worker",
        }
        chosen.append((last.model_copy(update=spare), True))
    for node, _ in chosen:
        if node.name in RESERVED_NAMES:
            raise LabError(messages.RESERVED(name=node.name))
    return chosen


def make(
    name: str, cluster: Cluster, nodes: list[tuple[Node, bool]], transfer: str, rootfs: Path
) -> Plan:
    """
    The plan for these nodes.

    + name: the lab's
    + transfer: a network of four addresses for the link to this machine
    + rootfs: the nodes' common root file system
    """
    nat = cluster.topology == "nat"
    lan = cluster.uplink_network if nat else cluster.cluster_network
    router = cluster.uplink_gateway if nat else cluster.router
    taken = {router, *filter(None, [cluster.control_plane_address])}
    for node, _ in nodes:
        known = (node.address, node.uplink_address, node.first_address)
        taken |= {address for address in known if address}
    operator, pool = _free_addresses(lan, taken)
    return Plan(
        name=name,
        project=str(cluster.project.absolute()),
        topology=cluster.topology,
        lan=str(lan),
        router=str(router),
        operator=operator,
        pool=pool,
        transfer=transfer,
        rootfs=str(rootfs),
        nodes=tuple(
            NodePlan(
                name=node.name,
                index=index,
                role=node.role,
                address=str(node.address),
                ports=_ports(node, cluster),
                reserved=_reserved(node, cluster),
                spare=spare,
            )
            for index, (node, spare) in enumerate(nodes, start=1)
        ),
    )


def merge(now: Plan, wanted: Plan) -> Plan:
    """
    The wanted plan as far as the lab in being can follow: nodes can be added, and spare ones stop
    being spare; nothing else changed.
    """
    same = replace(wanted, rootfs=now.rootfs, operator=now.operator, pool=now.pool)
    if replace(same, nodes=now.nodes) != now:
        raise LabError(messages.CHANGED(what="another directory or other networks"))
    for old, new in zip(now.nodes, wanted.nodes, strict=False):
        if replace(old, spare=new.spare) != new:
            raise LabError(messages.CHANGED(what="other nodes than inventory.py has"))
    return replace(same, nodes=wanted.nodes + now.nodes[len(wanted.nodes) :])


def save(plan: Plan) -> None:
    """Write the plan down in the lab's state directory."""
    folder = state_directory(plan.name)
    folder.mkdir(parents=True, exist_ok=True)
    host.replace(folder / "plan.json", json.dumps(asdict(plan), indent=1))


def _node(data: dict[str, Any]) -> NodePlan:
    return NodePlan(**data | {"ports": tuple(Port(**port) for port in data["ports"])})


def load(name: str) -> Plan | None:
    """The plan of the lab called `name`; None when there is no such lab."""
    data = _saved(state_directory(name) / "plan.json")
    if data is None:
        return None
    try:
        nodes = tuple(_node(node) for node in data["nodes"])
        return Plan(**data | {"pool": tuple(data["pool"]), "nodes": nodes})
    except (TypeError, KeyError):
        raise LabError(messages.OTHER_VERSION(name=name)) from None


def of_all_labs(field: str) -> list[Any]:
    """One field of the plans of all labs of this machine, those of other versions included."""
    plans = map(_saved, sorted((host.home() / "labs").glob("*/plan.json")))
    return [plan[field] for plan in plans if plan and field in plan]


def node_names(name: str) -> set[str]:
    """The names of a lab's nodes, whatever version of this project started it."""
    saved = _saved(state_directory(name) / "plan.json") or {"nodes": []}
    return {node["name"] for node in saved["nodes"]}


def _saved(path: Path) -> dict[str, Any] | None:
    try:
        data: dict[str, Any] = json.loads(path.read_text())
        return data
    except (OSError, ValueError):
        return None
