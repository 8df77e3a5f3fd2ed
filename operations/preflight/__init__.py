"""
Check every node before anything is changed on any of them.

Nothing is changed: one small file is written and removed, to measure how fast the SD card is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pyinfra import host, logger, state
from pyinfra.context import ctx_host

import runs
from facts.architecture import Architecture
from facts.base import WholeFact
from facts.cgroup import MemoryCgroup
from facts.clock import Clock
from facts.firewall import Firewall
from facts.interfaces import InterfacesFiles
from facts.iptables import Iptables
from facts.kubeadm import ControlPlane, Member
from facts.leftovers import Leftovers
from facts.listeners import Listeners
from facts.machine import Machine
from facts.machine_id import MachineId
from facts.networks import Networks
from facts.node_record import Record
from facts.reach import SECONDS, SHORT, Reach
from facts.resolv_conf import Resolver
from facts.run_lock import RunLock
from facts.swap import Swap
from facts.together import SudoFailed
from messages import preflight as messages
from operations import node_record
from operations.base import Commands, HostFailure, operation, read_all
from operations.preflight import checks
from operations.preflight.node import Node, Specification
from operations.preflight.results import COLOURS, Result, count, table
from runs import lock

# All without arguments.
_FACTS: tuple[type[WholeFact[Any]], ...] = (
    *(Architecture, Clock, Firewall, InterfacesFiles, Leftovers, Listeners, Machine, MachineId),
    *(MemoryCgroup, Networks, Record, Resolver, RunLock, Swap),
)


@dataclass
class _Gathered:
    """
    What a run has gathered from its nodes.

    + nodes: by name
    + shown: names of those whose results were shown
    + results: by node, with the number of nodes that it was compared with
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)
    results: dict[str, tuple[int, dict[str, Result]]] = field(default_factory=dict)

    def check(self, name: str) -> dict[str, Result]:
        """A node's results, worked out again only if more nodes have answered."""
        size, results = self.results.get(name, (0, {}))
        if size != len(self.nodes):
            results = checks.check(self.nodes[name], self.nodes)
            self.results[name] = (len(self.nodes), results)
        return results


@operation()
def gather(**specification: Any) -> Commands:
    """
    Read everything that the checks need from a node, in one remote execution per run.

    Every host has to reach it before ``check``, which compares the nodes.

    + specification: the fields of ``operations.preflight.node.Specification``
    """
    gathered = runs.of(state).part(_Gathered)
    if host.name not in gathered.nodes:
        desired = Specification(**specification)
        try:
            node = Node(host.name, desired, read_all(_facts(desired)))
        except SudoFailed as error:
            node = Node(host.name, desired, {}, sudo=str(error))
        gathered.nodes[host.name] = node
        if (record := node.read(Record)) is not None:
            node_record.put(ctx_host.get(), record)
    host.noop("gathered")
    yield from ()


def _facts(desired: Specification) -> dict[type[WholeFact[Any]], dict[str, Any]]:
    """Everything that checks read, with the arguments."""
    archives, registries = list(desired.archives), list(desired.registries)
    # Only the operation that needs the API server waits for it.
    of_role: dict[type[WholeFact[Any]], dict[str, Any]] = (
        {ControlPlane: {"patience": 0}} if desired.role == "control_plane" else {Member: {}}
    )
    return {
        **of_role,
        **{fact: {} for fact in _FACTS},
        Iptables: {"unit": "", "paths": []},
        Reach: {
            "addresses": desired.asked_addresses,
            "archives": archives,
            "registries": registries,
            # Before the first run of all, the gateway does not pass its packets on.
            "seconds": SHORT if desired.gateway else SECONDS,
        },
    }


@operation()
def check(show_all: bool = False) -> Commands:
    """
    Fail a node that is not ready for what the settings make of it, and show why.

    + show_all: show a table of all checks, not only those that are not OK
    """
    gathered = runs.of(state).part(_Gathered)
    _show(gathered, show_all)
    holder = gathered.nodes[host.name].read(RunLock)
    if holder and lock.of(state).is_another(holder) and state.is_executing and not show_all:
        lock.of(state).hold(ctx_host.get())  # says who, or that it has ended meanwhile
    results = gathered.check(host.name)
    if failed := [name for name, result in results.items() if result.status == "failure"]:
        raise HostFailure(messages.NOT_READY(checks=", ".join(failed)))
    host.noop(count([*results.values()]))
    yield from ()


def _show(gathered: _Gathered, show_all: bool) -> None:
    """Show the results of all nodes not shown yet, in the inventory's order."""
    for each in host.state.inventory:
        if each.name not in gathered.nodes or each.name in gathered.shown:
            continue
        gathered.shown.add(each.name)
        results = gathered.check(each.name)
        if show_all:
            for line in ("", *table(gathered.nodes[each.name], results)):
                logger.info(line)
            continue
        each.log(count([*results.values()]))
        for name, result in results.items():
            if result.status != "OK":
                text = f"{result.status}: {name}: {result.text}"
                each.log_styled(text, fg=COLOURS[result.status])
