"""
A roll-out: work on one node after the other, while the cluster goes on.

A deploy notes on every node whether it has work (``note``), and then calls ``prepared`` on every
node. For each node in turn it calls ``drained``, its own operations and ``returned`` on that node,
and ``done`` on every node::

    for each in host.loop(cluster.nodes):
        if node == each:
            rollout.drained(name=f"Drain {each.name}")
            ...
            rollout.returned(name=f"{each.name} Ready")
        rollout.done(name=f"{each.name} done", node=each.name)

Its own operations ask ``has_work`` first. Once a node has failed no operation of the run does
anything any more, on any node. What was done is known from the nodes and the cluster: a cordon has
a note, and one that an interrupted run has left is work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyinfra import host, logger, state
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_host

import remote
import runs
from facts.etcd import EtcdMembers
from facts.kubectl import Objects
from facts.livez import Livez
from messages import rollout as messages
from operations.base import (
    Commands,
    HostFailure,
    hide,
    open_again,
    operation,
    plan_change,
    read_from,
)
from operations.nodes.control_planes import ControlPlanes
from operations.nodes.drain import OBJECTS
from operations.rollout import turn
from operations.rollout.checks import first_that_answers, obstacles, show_plan
from operations.rollout.work import has_work, note, of_run
from runs import gathering
from runs.output import failed

__all__ = ["close_behind", "done", "drained", "has_work", "note", "of_run", "prepared", "returned"]


@operation()
def prepared(
    deploy: str,
    addresses: Mapping[str, str],
    shared: str,
    nodes: Sequence[str],
    gateway: str | None,
    drain_seconds: int,
    ready_seconds: int,
) -> Commands:
    """
    Check the cluster before the first node, and show what will be done.

    To be reached by every node of the run, after ``note``.

    + deploy: what a cordon is noted with, and what continues it
    + addresses, shared: of the control planes; one is asked, in this run or not
    + nodes: all of the cluster in the order of the roll-out
    + gateway: the node through which others are reached
    + drain_seconds: after which a drain is given up
    + ready_seconds: after which a node that does not come back fails

    ``HostFailure``: a node is not Ready or has failed, the API server is not well, etcd does not do
    without one of its members, or a pod can't be evicted.
    """
    here = of_run()
    here.deploy, here.nodes, here.planes = deploy, nodes, ControlPlanes(addresses, shared)
    here.gateway, here.drain_seconds, here.ready_seconds = gateway, drain_seconds, ready_seconds
    running = {each.name for each in state.activated_hosts - state.failed_hosts}
    leader = next((name for name in nodes if name in running), None)
    if host.name != leader:
        host.noop(f"{leader} checks it")
        return
    first, resources = first_that_answers(here, running)
    if gathering.of(state).is_asking:
        return
    here.continue_from(resources, running)
    if not here.order:
        host.noop("no node has work")
        return
    here.objects = read_from(first, Objects, names=list(OBJECTS)).objects
    show_plan(here)
    members = read_from(first, EtcdMembers) if any(map(here.planes.member, here.order)) else None
    if said := obstacles(here, read_from(first, Livez), members):
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
    if _is_stopped() or not has_work():
        hide()
        host.noop("no work here")
        return
    plan_change(f"cordon {host.name}, and evict its pods")
    yield FunctionCommand(turn.begin, (of_run(),), {})


@operation()
def returned() -> Commands:
    """
    Wait until this node is Ready again and its pods are, and undo the cordon that this deploy made.

    ``HostFailure``: it is not in time.
    """
    if _is_stopped() or host.name not in of_run().order:
        hide()
        host.noop("no work here")
        return
    plan_change("wait until it is Ready again and its pods are, and uncordon it")
    yield FunctionCommand(turn.end, (of_run(),), {})


@operation()
def done(node: str) -> Commands:
    """
    Wait until a node is done: the next one is begun after it.

    To be reached by every node of the run. Connections that were lost with it are opened again. If
    a node has failed, nothing more is done in this run.

    + node: its name
    """
    hide()
    if not _is_stopped() and node in of_run().order and state.is_executing:
        open_again(node)
    host.noop(f"{node} is done")
    yield from ()


def close_behind(state: State, host: Host) -> None:
    """Close the connections that end with a reboot of this node: they are opened again later."""
    if host.name == of_run().gateway:
        for other in state.activated_hosts - {host}:
            remote.of(other).close()


def _is_stopped() -> bool:
    """Stop the whole run once a node has failed, and say which nodes are not touched."""
    here, run = of_run(), runs.of(state)
    gone = {each.name for each in state.failed_hosts}
    at_fault = next((name for name in here.nodes if name in gone), None)
    if at_fault is None or not here.order:
        return False
    if run.stopped is None:
        left = [each for each in here.order if each not in here.finished and each != at_fault]
        run.stopped = f"{at_fault} has failed"
        if left:
            said = messages.STOPPED(node=at_fault, left=", ".join(left))
            host.log_styled(said, fg="red", log_func=logger.error)
    return True
