"""Drain a node, and delete it from the cluster."""

from __future__ import annotations

from functools import partial

from pyinfra import host, state
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
import runs
from facts.kubectl import ADMIN_CONF, Objects
from formats import node as node_format
from formats import pods as pod_format
from formats.node_record import NodeRecord
from formats.placement import unplaced
from messages import kubernetes as messages
from messages import run as run_messages
from operations import node_record
from operations.base import Commands, HostFailure, operation, plan, plan_change, read
from operations.confirmation import confirm
from operations.nodes.drain import OBJECTS, drain, note, obstacles

_DELETE = f"""kubectl --kubeconfig={ADMIN_CONF} --request-timeout=20s delete node "$1" \
--ignore-not-found </dev/null"""


@operation()
def drained(node: str, seconds: int, line: str) -> Commands:
    """
    Cordon a node, and evict its pods.

    To be run on the control plane. A node that does not answer, or whose kubelet does not report,
    is not drained: its pods can't end there.

    + node: its name in the cluster and in the inventory
    + seconds: after which the cordon is undone, if this made it, and the drain given up
    + line: of the inventory that is to be removed afterwards

    ``HostFailure``: a pod can't be made again elsewhere, or can't be evicted; or not in time.
    """
    observed = read(Objects, names=list(OBJECTS))
    if not observed.answers:
        raise HostFailure(messages.API_NOT_ANSWERING(reason=observed.why))
    if line:
        plan(f"Remove the node from the inventory afterwards, {line}")
        runs.of(host.state).suggest(f"remove {line}")
    known = node_format.nodes(observed.objects)
    if node not in known:
        host.noop(f"the cluster has no node {node}")
        return
    if not _answers(node) or known[node].trouble:
        why = known[node].trouble or "it does not answer"
        host.noop(f"{node} can't be drained: {why}")
        return
    found = pod_format.leaving(observed.objects, node)
    for said in obstacles([found]):
        raise HostFailure(said)
    is_cordoned = pod_format.cordon(node_format.find(observed.objects, f"/node/{node}") or {})[0]
    if is_cordoned and not found.pods:
        host.noop(f"{node} is cordoned, and has no pods to evict")
        return
    moving = f"evict {', '.join(found.pods)}" if found.pods else "evict no pods"
    plan(f"Will drain {node}: {moving}")
    if found.local:
        plan(f"Their local data (emptyDir) is deleted: {', '.join(found.local)}")
    if left := unplaced(observed.objects, found.pods, node):
        plan(messages.NO_ROOM(pods=", ".join(left)))
    plan_change(f"drain {node}")
    yield FunctionCommand(_drain, (node, seconds, not is_cordoned), {})


@operation()
def deleted(node: str, yes: str | None) -> Commands:
    """
    Delete a node from the cluster, once Kubernetes is removed from it.

    To be run on the control plane.

    + node: its name in the cluster and in the inventory
    + yes: its name as it was given with ``--data``, for a node that does not answer; None: a person
      is asked for it

    ``HostFailure``: the node failed in this run, or a person does not confirm.
    """
    answers = _answers(node)
    if answers and any(each.name == node for each in state.failed_hosts):
        raise HostFailure(run_messages.DEPENDENCY_FAILED(other=node))
    observed = read(Objects, names=["nodes"])
    if not observed.answers:
        raise HostFailure(messages.API_NOT_ANSWERING(reason=observed.why))
    if node not in node_format.nodes(observed.objects):
        host.noop(f"the cluster has no node {node}")
        return
    if not answers:
        plan(f"{node} does not answer: it is removed from the cluster alone, after a question")
        plan("Should it come back, its kubelet registers it again: then run the same command again")
    plan_change(f"delete the node {node} from the cluster")
    yield FunctionCommand(_delete, (node, answers, yes), {})


def _drain(state: State, host: Host, node: str, seconds: int, cordon: bool) -> bool:
    drain(host, host, node, seconds, note("deploys/remove.py"), cordon)
    return True


def _delete(state: State, host: Host, node: str, answers: bool, yes: str | None) -> bool:
    if not answers:
        question = f"{node} does not answer. Delete it from the cluster? Type its name"
        if confirm(state, question, yes) != node:
            raise HostFailure(messages.REMOVAL_NOT_CONFIRMED(node=node))
    remote.of(host).run(_DELETE, node)
    node_record.write(host, partial(_without_labels, node=node))
    return True


def _without_labels(record: NodeRecord, node: str) -> NodeRecord:
    return record.without([name for name in record.entries if name.startswith(f"label {node} ")])


def _answers(node: str) -> bool:
    """Whether this run has a connection to a node, or had one."""
    return any(each.name == node for each in state.activated_hosts)
