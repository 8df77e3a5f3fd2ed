"""Everything that preflight checks need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from facts.architecture import Architecture, ArchitectureState
from facts.base import State, WholeFact
from facts.cgroup import CgroupState, MemoryCgroup
from facts.clock import Clock, ClockState
from facts.firewall import Firewall, FirewallState
from facts.interfaces import InterfacesFiles, InterfacesState
from facts.iptables import Iptables, IptablesState
from facts.kubeadm import ControlPlane, ControlPlaneState, Member, MemberState
from facts.leftovers import Leftovers, LeftoversState
from facts.listeners import Listeners
from facts.machine import Machine, MachineState
from facts.machine_id import MachineId
from facts.networks import Networks, NetworksState
from facts.node_record import Record, RecordState
from facts.reach import Reach
from facts.resolv_conf import Resolver, ResolverState
from facts.run_lock import RunLock, RunLockState
from facts.swap import Swap, SwapState


@dataclass(frozen=True)
class PreflightState(State):
    """
    The states of other facts by name; None for those that could not be read.

    + sudo: the message of sudo if it asks for a password; then nothing else was read
    + unread: the reason for each part that is None
    """

    sudo: str = ""
    architecture: ArchitectureState | None = None
    cgroup: CgroupState | None = None
    clock: ClockState | None = None
    control_plane: ControlPlaneState | None = None
    firewall: FirewallState | None = None
    interfaces: InterfacesState | None = None
    iptables: IptablesState | None = None
    leftovers: LeftoversState | None = None
    listeners: dict[str, str] | None = None
    machine: MachineState | None = None
    machine_id: str | None = None
    member: MemberState | None = None
    networks: NetworksState | None = None
    reach: dict[str, dict[str, str]] | None = None
    record: RecordState | None = None
    resolver: ResolverState | None = None
    run_lock: RunLockState | None = None
    swap: SwapState | None = None
    unread: dict[str, str] = field(default_factory=dict)


def parts(
    role: str, addresses: Sequence[str], archives: Sequence[str], registries: Sequence[str]
) -> dict[str, tuple[type[WholeFact[Any]], dict[str, Any]]]:
    """
    Return the facts that a ``PreflightState`` is made of, each with its arguments.

    + role: "control_plane" is asked for its control plane, a "worker" for the cluster that it has
      joined
    + addresses, archives, registries: what it has to reach, see ``Reach``
    """
    # Only the operation that needs the API server waits for it.
    own: dict[str, tuple[type[WholeFact[Any]], dict[str, Any]]] = (
        {"control_plane": (ControlPlane, {"patience": 0})}
        if role == "control_plane"
        else {"member": (Member, {})}
    )
    reached = {"addresses": addresses, "archives": archives, "registries": registries}
    return own | {
        "architecture": (Architecture, {}),
        "cgroup": (MemoryCgroup, {}),
        "clock": (Clock, {}),
        "firewall": (Firewall, {}),
        "interfaces": (InterfacesFiles, {}),
        "iptables": (Iptables, {"unit": "", "paths": []}),
        "leftovers": (Leftovers, {}),
        "listeners": (Listeners, {}),
        "machine": (Machine, {}),
        "machine_id": (MachineId, {}),
        "networks": (Networks, {}),
        "record": (Record, {}),
        "reach": (Reach, {name: list(urls) for name, urls in reached.items()}),
        "resolver": (Resolver, {}),
        "run_lock": (RunLock, {}),
        "swap": (Swap, {}),
    }
