"""Drain a node, take it out of etcd, and delete it from the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pyinfra import host, inventory, state
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
import runs
from facts.kubectl import DELETE_NODE, Objects
from formats import etcd
from formats import node as node_format
from formats import pods as pod_format
from formats.etcd import Member
from formats.node_record import NodeRecord
from messages import kubernetes as messages
from messages import settings as settings_messages
from operations import node_record
from operations.base import (
    Commands,
    HostFailure,
    dependency_failed,
    operation,
    plan,
    plan_change,
    read_from,
)
from operations.confirmation import confirm
from operations.kubeadm import existing, members
from operations.nodes.drain import OBJECTS, REMOVAL, drain, note, obstacles, plan_losses


@operation()
def drained(
    node: str,
    address: str,
    control_planes: Mapping[str, str],
    seconds: int,
    lines: Mapping[str, str],
    is_control_plane: bool = False,
) -> Commands:
    """
    Cordon a node, and evict its pods.

    To be run on a control plane. A node that does not answer, or whose kubelet does not report,
    is not drained: its pods can't end there.

    + node, address: its name in the cluster and in the inventory, and its address
    + control_planes: addresses of the others by name; the first that answers is asked
    + seconds: after which the cordon is undone, if this made it, and the drain given up
    + lines: of the inventory, by the names of their nodes
    + is_control_plane: whether the node is one in the inventory

    ``HostFailure``: a pod can't be made again elsewhere, or can't be evicted; or not in time. The
    node is the last control plane, or etcd would stop without it.
    """
    known = _ask(node, control_planes)
    for member in etcd.at(known.members, address):
        members.check_removable(known.members, member)
    others = [each for each in known.members if address not in each.peers]
    _suggest(node, lines, others if is_control_plane else (), control_planes)
    objects = _objects(known, *OBJECTS)
    nodes = node_format.nodes(objects)
    if node not in nodes:
        host.noop(f"the cluster has no node {node}")
        return
    if not _answers(node) or nodes[node].trouble:
        why = nodes[node].trouble or "it does not answer"
        host.noop(f"{node} can't be drained: {why}")
        return
    found = pod_format.leaving(objects, node)
    for said in obstacles([found]):
        raise HostFailure(said)
    is_cordoned = pod_format.cordon(node_format.find(objects, f"/node/{node}") or {})[0]
    if is_cordoned and not found.pods:
        host.noop(f"{node} is cordoned, and has no pods to evict")
        return
    moving = f"evict {', '.join(found.pods)}" if found.pods else "evict no pods"
    plan(f"Will drain {node}: {moving}")
    plan_losses(objects, node, found)
    plan_change(f"drain {node}")
    yield FunctionCommand(_drain, (known.name, node, seconds, not is_cordoned), {})


@operation()
def left_etcd(
    node: str, address: str, control_planes: Mapping[str, str], yes: str | None
) -> Commands:
    """
    Remove a control plane's member from etcd, before Kubernetes is removed from it.

    To be run on another control plane.

    + node, address, control_planes: as for ``drained``
    + yes: as for ``deleted``

    ``HostFailure``: etcd would lose its quorum; the node failed in this run, or a person does not
    confirm.
    """
    _check_failed(node)
    known = _ask(node, control_planes)
    leaving = etcd.at(known.members, address)
    if not leaving:
        host.noop(f"{node} has no member of etcd")
        return
    for member in leaving:
        members.check_removable(known.members, member)
        plan_change(f"remove {members.described(member, address)}")
    yield FunctionCommand(_leave_etcd, (known.name, node, address, _answers(node), yes), {})


@operation()
def deleted(node: str, control_planes: Mapping[str, str], yes: str | None) -> Commands:
    """
    Delete a node from the cluster, once Kubernetes is removed from it.

    To be run on a control plane.

    + node, control_planes: as for ``drained``
    + yes: its name as it was given with ``--data``, for a node that does not answer; None: a person
      is asked for it

    ``HostFailure``: the node failed in this run, or a person does not confirm.
    """
    _check_failed(node)
    known = _ask(node, control_planes)
    if node not in node_format.nodes(_objects(known, "nodes")):
        host.noop(f"the cluster has no node {node}")
        return
    answers = _answers(node)
    if not answers:
        plan(f"{node} does not answer: it is removed from the cluster alone, after a question")
        plan("Should it come back, its kubelet registers it again: then run the same command again")
    plan_change(f"delete the node {node} from the cluster")
    yield FunctionCommand(_delete, (known.name, node, answers, yes), {})


def _ask(node: str, control_planes: Mapping[str, str]) -> existing.Existing:
    """Ask the other control planes; ``HostFailure`` if none of them has a cluster."""
    known = existing.ask(control_planes)
    if known.name:
        return known
    if known.silent:
        raise HostFailure(messages.ETCD_NOT_ASKED(reason=known.reasons()))
    raise HostFailure(settings_messages.LAST_CONTROL_PLANE(node=node))


def _objects(known: existing.Existing, *names: str) -> list[dict[str, Any]]:
    observed = read_from(inventory.get_host(known.name), Objects, names=list(names), _sudo=True)
    if not observed.answers:
        raise HostFailure(messages.API_NOT_ANSWERING(reason=observed.why))
    return observed.objects


def _suggest(
    node: str, lines: Mapping[str, str], listed: Sequence[Member], addresses: Mapping[str, str]
) -> None:
    """
    Show what to do in the inventory afterwards: it may have one, three or five control planes.

    + listed: the members of etcd without the node's own; none: it is a worker
    + addresses: of the other control planes: those that have left etcd before leave the inventory
    """
    voters = etcd.voters(listed)
    gone = [node, *(name for name, at in addresses.items() if voters and not etcd.at(listed, at))]
    if voters and len(voters) % 2 == 0:
        failures = (len(voters) - 1) // 2
        plan(messages.EVEN_MEMBERS(count=len(voters), failures=failures))
        runs.of(host.state).suggest("write another control plane in the place of each that left,")
        runs.of(host.state).suggest("or remove a further one with deploys/remove.py")
        return
    for line in filter(None, map(lines.get, gone)):
        plan(f"Remove the node from the inventory afterwards, {line}")
        runs.of(host.state).suggest(f"remove {line}")


def _drain(state: State, host: Host, acting: str, node: str, seconds: int, cordon: bool) -> bool:
    control_plane = state.inventory.get_host(acting)
    drain(control_plane, host, node, seconds, note(REMOVAL), cordon)
    return True


def _leave_etcd(
    state: State, host: Host, acting: str, node: str, address: str, answers: bool, yes: str | None
) -> bool:
    _check_confirmed(state, node, answers, yes)
    members.remove(state.inventory.get_host(acting), host, address)
    return True


def _delete(
    state: State, host: Host, acting: str, node: str, answers: bool, yes: str | None
) -> bool:
    _check_confirmed(state, node, answers, yes)
    remote.of(state.inventory.get_host(acting)).run(DELETE_NODE, node)
    node_record.write(host, partial(_without_labels, node=node))
    return True


def _without_labels(record: NodeRecord, node: str) -> NodeRecord:
    return record.without([name for name in record.entries if name.startswith(f"label {node} ")])


def _check_failed(node: str) -> None:
    """Raise ``HostFailure`` if a node that answers failed in this run."""
    if _answers(node) and any(each.name == node for each in state.failed_hosts):
        raise dependency_failed(node)


def _check_confirmed(state: State, node: str, answers: bool, yes: str | None) -> None:
    """Ask, once in a run, whether a node that does not answer is to be removed."""
    question = f"{node} does not answer. Delete it from the cluster? Type its name"
    if not answers and confirm(state, question, yes) != node:
        raise HostFailure(messages.REMOVAL_NOT_CONFIRMED(node=node))


def _answers(node: str) -> bool:
    """Whether this run has a connection to a node, or had one."""
    return any(each.name == node for each in state.activated_hosts)
