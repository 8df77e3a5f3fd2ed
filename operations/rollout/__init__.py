"""
A roll-out: work on one node after the other, while the cluster goes on.

A deploy notes on every node whether it has work (``note``), and then calls ``prepared`` on every
node. For each node in turn it calls ``drained``, its own operations and ``returned`` on that node,
and ``done`` on every node::

    for each in host.loop(cluster.nodes):
        if node == each:
            rollout.drained(name=f"Drain {each.name}")
            ...
            rollout.returned(name=f"{each.name} back")
        rollout.done(name=f"{each.name} done", node=each.name)

Its own operations ask ``has_work`` first. Once a node has failed no operation of the run does
anything any more, on any node. What was done is known from the nodes and the cluster: a cordon has
a note, and one that an interrupted run has left is work.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gevent
from pyinfra import host, inventory, logger, state
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_host

import remote
import runs
from facts.kubectl import Objects
from facts.livez import Livez
from formats import node as node_format
from formats import pods as pod_format
from formats.placement import unplaced
from messages import Said
from messages import kubernetes as kubernetes_messages
from messages import rollout as messages
from messages import run as run_messages
from operations.base import Commands, HostFailure, hide, operation, plan, plan_change, read_from
from operations.nodes.drain import OBJECTS, drain, is_own, obstacles, patch_cordon
from operations.nodes.drain import note as cordon_note
from operations.rollout.waiting import wait_until_back
from runs import gathering, lock
from runs.output import failed

_API_S = 60  # for an API server that is starting
_PAUSE_S = 2


@dataclass
class Rollout:
    """
    The roll-out of this run.

    + work: for each node that has some, why
    + left: nodes that an interrupted run of the same deploy has left cordoned
    + objects: of the cluster, before the first node
    + unready: pods that were not Ready then, each ``NAMESPACE/NAME``
    """

    work: dict[str, list[str]] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    deploy: str = ""
    control_plane: str = ""
    nodes: Sequence[str] = ()
    drain_seconds: int = 0
    ready_seconds: int = 0
    objects: list[dict[str, Any]] = field(default_factory=list)
    unready: frozenset[str] = frozenset()

    @property
    def order(self) -> list[str]:
        """The nodes that are worked on, or only uncordoned, in their order."""
        return [name for name in self.nodes if name in self.work or name in self.left]


def note(reasons: Sequence[str]) -> None:
    """Note why this node has work; no reasons: it has none."""
    if gathering.of(state).is_asking:
        return
    work = runs.of(state).part(Rollout).work
    work.pop(host.name, None)
    if reasons:
        work[host.name] = list(reasons)


def has_work() -> bool:
    """Whether this node has work, and the roll-out goes on."""
    return host.name in runs.of(state).part(Rollout).work


@operation()
def prepared(
    deploy: str,
    control_plane: str,
    nodes: Sequence[str],
    gateway: str | None,
    drain_seconds: int,
    ready_seconds: int,
) -> Commands:
    """
    Check the cluster before the first node, and show what will be done.

    To be reached by every node of the run, after ``note``.

    + deploy: what a cordon is noted with, and what continues it
    + control_plane: the node that is asked, in this run or not
    + nodes: all of the cluster in the order of the roll-out
    + gateway: the node through which others are reached
    + drain_seconds: after which a drain is given up
    + ready_seconds: after which a node that does not come back fails

    ``HostFailure``: a node is not Ready or has failed, the API server is not well, or a pod can't
    be evicted.
    """
    here = runs.of(state).part(Rollout)
    here.deploy, here.control_plane, here.nodes = deploy, control_plane, nodes
    here.drain_seconds, here.ready_seconds = drain_seconds, ready_seconds
    running = {each.name for each in state.activated_hosts - state.failed_hosts}
    leader = next((name for name in nodes if name in running), None)
    if host.name != leader:
        host.noop(f"{leader} checks it")
        return
    first = inventory.get_host(control_plane)
    observed = _nodes(first)
    here.left = {
        name
        for name, resource in observed.items()
        if name in running and is_own(pod_format.cordon(resource)[1], deploy)
    }
    if not here.order:
        host.noop("no node has work")
        return
    here.objects = read_from(first, Objects, names=list(OBJECTS)).objects
    here.unready = pod_format.unready(here.objects)
    _show_plan(here, gateway)
    if said := _obstacles(here, read_from(first, Livez)):
        runs.of(state).stopped = said[-1].words
        for each in said[:-1]:
            failed(ctx_host.get(), each)
        raise HostFailure(said[-1])
    host.noop("the cluster is ready for it")
    yield from ()


@operation()
def drained() -> Commands:
    """
    Cordon this node and evict its pods, if it has work.

    A node whose kubelet does not report is cordoned only: its pods can't end. One that the cluster
    does not know is only worked on.

    ``HostFailure``: a pod can't be evicted in time; the cordon is undone then.
    """
    here = runs.of(state).part(Rollout)
    if _stopped(here) or not has_work():
        host.noop("no work here")
        return
    plan_change(f"cordon {host.name}, and evict its pods")
    yield FunctionCommand(_drain, (here,), {})


@operation()
def returned() -> Commands:
    """
    Wait until this node is Ready again and its pods are, and undo the cordon that this deploy made.

    ``HostFailure``: it is not in time.
    """
    here = runs.of(state).part(Rollout)
    if _stopped(here) or host.name not in here.order:
        host.noop("no work here")
        return
    plan_change("wait until it is Ready again and its pods are, and uncordon it")
    yield FunctionCommand(_return, (here,), {})


@operation()
def done(node: str) -> Commands:
    """
    Wait until a node is done: the next one is begun after it.

    To be reached by every node of the run. Connections that were lost with it are opened again. If
    a node has failed, nothing more is done in this run.

    + node: its name
    """
    hide()
    here = runs.of(state).part(Rollout)
    goes_on = not _stopped(here) and node in here.order and state.is_executing
    if reason := remote.of(ctx_host.get()).ensure_open() if goes_on else None:
        raise HostFailure(run_messages.LOST_WITH(other=node, reason=reason))
    host.noop(f"{node} is done")
    yield from ()


def _stopped(here: Rollout) -> bool:
    """Stop the whole run once a node has failed."""
    gone = {each.name for each in state.failed_hosts}
    if at_fault := [name for name in here.nodes if name in gone and here.order]:
        runs.of(state).stopped = f"the roll-out has stopped at {at_fault[0]}"
    return bool(at_fault)


def _nodes(control_plane: Host) -> dict[str, Mapping[str, Any]]:
    """
    Return the nodes of the cluster; an API server that is starting is waited for.

    ``HostFailure``: it does not answer.
    """
    observed = read_from(control_plane, Objects, names=["nodes"])
    end = time.monotonic() + _API_S
    while not observed.answers and not gathering.of(state).is_asking:
        missing = "not found" in observed.why or "no such file" in observed.why
        if missing or time.monotonic() > end:
            raise HostFailure(kubernetes_messages.API_NOT_ANSWERING(reason=observed.why))
        gevent.sleep(_PAUSE_S)
        observed = remote.of(control_plane).gather(Objects(), ["nodes"])
    return {each["metadata"]["name"]: each for each in observed.objects if each["kind"] == "Node"}


def _obstacles(here: Rollout, unwell: str) -> list[Said]:
    """
    Return why no node may be worked on now.

    + unwell: what is not well of the control plane
    """
    found = []
    if gone := [each.name for each in state.failed_hosts if each.name in here.nodes]:
        found.append(messages.OTHER_FAILED(nodes=", ".join(sorted(gone))))
    if away := _away(here.objects, here.order[0]):
        found.append(messages.NODE_AWAY(nodes=away))
    if unwell:
        found.append(messages.CONTROL_PLANE_UNWELL(reason=unwell))
    return found + obstacles(pod_format.leaving(here.objects, name) for name in here.work)


def _away(objects: Sequence[Mapping[str, Any]], node: str) -> str:
    """Return which nodes besides this one are not Ready, and why; "" when all are."""
    known = node_format.nodes(objects).values()
    troubled = [each for each in known if each.trouble and each.name != node]
    return "; ".join(f"{each.name} ({each.trouble})" for each in troubled)


def _show_plan(here: Rollout, gateway: str | None) -> None:
    """Show which nodes are worked on and why, which pods move, and what they lose."""
    plan("One node at a time, in this order:")
    for place, name in enumerate(here.order, 1):
        why = here.work.get(name) or ["uncordon it: an interrupted run has left it cordoned"]
        leaving = pod_format.leaving(here.objects, name if name in here.work else "")
        moving = f"; evict {', '.join(leaving.pods)}" if leaving.pods else ""
        plan(f"{place}. {name}: {'; '.join(why)}{moving}")
        if leaving.local:
            plan(f"   their local data (emptyDir) is deleted: {', '.join(leaving.local)}")
        if left := unplaced(here.objects, name) if name in here.work else ():
            plan(kubernetes_messages.NO_ROOM(pods=", ".join(left)))
    behind = [name for name in here.nodes if name != gateway]
    if gateway in here.work and behind:
        plan(messages.GATEWAY_AWAY(gateway=gateway, nodes=", ".join(behind)))


def _drain(state: State, host: Host, here: Rollout) -> bool:
    first = state.inventory.get_host(here.control_plane)
    lock.of(state).hold(first)
    resources = _nodes(first)
    if away := _away(list(resources.values()), host.name):
        raise HostFailure(messages.NODE_AWAY(nodes=away))
    if host.name not in resources:
        host.log("the cluster does not know it: it is not drained")
        return True
    resource, mark = resources[host.name], cordon_note(here.deploy)
    is_cordoned = pod_format.cordon(resource)[0]
    if trouble := node_format.nodes([resource])[host.name].trouble:
        host.log(f"its pods can't be evicted: {trouble}")
        if not is_cordoned:
            patch_cordon(first, host.name, mark)
    else:
        drain(first, host, host.name, here.drain_seconds, mark, not is_cordoned)
    return True


def _return(state: State, host: Host, here: Rollout) -> bool:
    first = state.inventory.get_host(here.control_plane)
    before = node_format.find(here.objects, f"/node/{host.name}")
    if before is None:
        return True
    wait_until_back(host, first, before, here.unready, here.ready_seconds)
    is_cordoned, whose = pod_format.cordon(_nodes(first)[host.name])
    if is_own(whose, here.deploy):
        patch_cordon(first, host.name, None)
    elif is_cordoned:
        whose = f"{whose} has cordoned it" if whose else "somebody else has cordoned it"
        warning = messages.OF_ANOTHER(node=host.name, whose=whose)
        host.log_styled(warning, fg="yellow", log_func=logger.warning)
    return True
