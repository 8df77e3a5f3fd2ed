"""Nodes that pass every check, for tests that change one thing each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from facts import cgroup, resolv_conf, swap
from facts.architecture import Architecture, ArchitectureState
from facts.base import WholeFact
from facts.cgroup import CgroupState, MemoryCgroup
from facts.clock import Clock, ClockState
from facts.files import FileState
from facts.firewall import Firewall, FirewallState
from facts.interfaces import InterfacesFiles, InterfacesState, Link
from facts.iptables import Iptables, IptablesState
from facts.kubeadm import ControlPlane, ControlPlaneState, Member, MemberState
from facts.leftovers import Leftovers, LeftoversState
from facts.listeners import Listeners
from facts.machine import Machine, MachineState
from facts.machine_id import MachineId
from facts.networks import Networks, NetworksState
from facts.node_record import Record
from facts.reach import Reach
from facts.resolv_conf import Resolver, ResolverState
from facts.run_lock import RunLock, RunLockState
from facts.swap import Swap, SwapState
from operations.preflight.checks import check
from operations.preflight.node import Node, Specification
from operations.preflight.results import Result

# The facts by the names that tests give them.
FACTS: dict[str, type[WholeFact[Any]]] = {
    "architecture": Architecture,
    "cgroup": MemoryCgroup,
    "clock": Clock,
    "control_plane": ControlPlane,
    "member": Member,
    "firewall": Firewall,
    "interfaces": InterfacesFiles,
    "iptables": Iptables,
    "leftovers": Leftovers,
    "listeners": Listeners,
    "machine": Machine,
    "machine_id": MachineId,
    "networks": Networks,
    "reach": Reach,
    "run_lock": RunLock,
    "resolver": Resolver,
    "swap": Swap,
    "record": Record,
}
ABSENT = FileState("absent")
ARCHIVE = "https://pkgs.k8s.io/core:/stable:/v1.36/deb/InRelease"
REGISTRY = "https://registry.k8s.io/v2/"
FINISHED = ControlPlaneState("finished", version="v1.36.4", ca="ours")
JOINED = MemberState("joined", version="v1.36.4", ca="ours", server="https://kubernetes-api:6443")


def file(text: str) -> FileState:
    return FileState("file", "644", "root", "root", text)


def desired(name: str) -> Specification:
    """node1 is the control plane and the gateway, the others are behind it."""
    first, address = name == "node1", f"192.168.2.1{name[-1]}"
    inner = {"interface": "eth0", "method": "static", "address": f"{address}/24", "gateway": None}
    outer = {"interface": "wlan0", "method": "dhcp", "address": None, "gateway": None}
    return Specification(
        role="control_plane" if first else "worker",
        user="pi",
        address=address,
        interfaces=[inner, outer] if first else [{**inner, "gateway": "192.168.2.11"}],
        networks={
            "cluster_network": "192.168.2.0/24",
            "pod_network": "10.244.0.0/16",
            "service_network": "10.96.0.0/12",
            "uplink_network": "192.168.1.0/24",
        },
        resolver={"nameservers": ["8.8.8.8"], "search": [], "options": []},
        kubernetes_version="1.36",
        control_planes={"node1": "192.168.2.11"},
        peers={f"node{n}": f"192.168.2.1{n}" for n in (1, 2, 3) if n != int(name[-1])},
        gateway=None if first else "node1",
        is_gateway=first,
        archives=[ARCHIVE],
        registries=[REGISTRY],
    )


def observed(name: str) -> dict[type[WholeFact[Any]], Any]:
    """A freshly flashed board, whose network NetworkManager manages."""
    first, number = name == "node1", int(name[-1])
    names = ["eth0", "wlan0"] if first else ["eth0"]
    links = {each: Link([], [], [], "connected") for each in names}
    interfaces: InterfacesState = {
        "files": {},
        "ifquery": [],
        "keys": {},
        "tools": ["NetworkManager"],
        "units": {"dhcpcd": ["", "inactive"]},
        "up": [],
        "pending": "",
        "links": {"lo": Link([], [], [], ""), **links},
        "networkmanager": {},
    }
    addresses = {"lo": ["127.0.0.1/8"], "eth0": [f"192.168.2.1{number}/24"]}
    return {
        Architecture: ArchitectureState("aarch64", "arm64"),
        MemoryCgroup: CgroupState("v2", "console=tty1", dict.fromkeys(cgroup.FILES, ABSENT)),
        Clock: ClockState(0, "2026-11-23 20:00:00", True, ["systemd-timesyncd"], [], True),
        Firewall: FirewallState("ok", '{"nftables": []}', ""),
        InterfacesFiles: interfaces,
        Iptables: IptablesState("nf_tables", "", "", False, False, {}),
        Leftovers: LeftoversState([], [], []),
        Listeners: {"22": "sshd"},
        Machine: MachineState(
            model="Raspberry Pi 4 Model B Rev 1.4",
            system="debian",
            version="13",
            system_name="Debian GNU/Linux 13 (trixie)",
            processors=4,
            memory_mb=3792,
            disk_mb=29000,
            free_mb=25000,
            read_only=[],
            sync_ms=12.5,
        ),
        MachineId: str(number) * 32,
        Networks: NetworksState(
            hostname=name,
            boot=f"boot-{number}",
            hardware={"lo": "00:00:00:00:00:00", **{n: f"dc:a6:{number}:{n}" for n in names}},
            addresses=addresses | ({"wlan0": ["192.168.1.32/24"]} if first else {}),
            routes={"eth0": ["192.168.2.0/24"]},
            default=["192.168.1.1"] if first else ["192.168.2.11"],
            networkd=[],
        ),
        Reach: {
            "address": {} if first else {"192.168.2.11:22": "", "192.168.2.11:6443": "refused"},
            "archive": {ARCHIVE: ""},
            "registry": {REGISTRY: ""},
        },
        RunLock: RunLockState(),
        Resolver: ResolverState(
            text="# Generated by NetworkManager\nnameserver 192.168.1.1\n",
            real="/etc/resolv.conf",
            network_manager="default",
            network_manager_now="default",
            files={
                **dict.fromkeys(resolv_conf.FILES, ABSENT),
                resolv_conf.PATH: file("# Generated by NetworkManager\nnameserver 192.168.1.1\n"),
            },
        ),
        Swap: SwapState([], 0, 900000, False, [], [], dict.fromkeys(swap.FILES, ABSENT)),
        **({} if first else {Member: MemberState("absent")}),
        **({ControlPlane: ControlPlaneState("absent")} if first else {}),
    }


def cluster(changed: str = "node1", /, **parts: Any) -> dict[str, Node]:
    """
    Three nodes, one of which is changed.

    + parts: of that one: ``memory_mb=906`` (a field of the part that has it), ``reach={…}`` (a
      whole part), ``ignored=["Mem"]`` (a field of its specification)
    """
    nodes = {
        name: Node(name, desired(name), observed(name)) for name in ("node1", "node2", "node3")
    }
    for name, value in parts.items():
        nodes[changed] = _with(nodes[changed], name, value)
    return nodes


def _with(node: Node, name: str, value: Any) -> Node:
    if name in FACTS:
        return replace(node, facts={**node.facts, FACTS[name]: value})
    if hasattr(node.desired, name):
        return replace(node, desired=replace(node.desired, **{name: value}))
    for fact, state in node.facts.items():
        if hasattr(state, "__dataclass_fields__") and name in state.__dataclass_fields__:
            return replace(node, facts={**node.facts, fact: replace(state, **{name: value})})
    if name == "sudo":
        return replace(node, sudo=value)
    raise AssertionError(f"nothing has a {name}")


def results(nodes: dict[str, Node], name: str = "node1") -> dict[str, Result]:
    """The results of a node, by check."""
    return check(nodes[name], nodes)
