"""Drain a node, and delete it from the cluster."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pyinfra import host, state
from pyinfra.api import FactProcessError, FunctionCommand, QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
import runs
from facts.kubectl import ADMIN_CONF, Objects
from formats import node as node_format
from formats import pods as pod_format
from formats.node_record import NodeRecord
from messages import kubernetes as messages
from messages import run as run_messages
from operations import node_record
from operations.base import Commands, HostFailure, operation, plan, plan_change, read
from operations.confirmation import confirm
from remote.failures import RemoteFailure
from runs.output import detail

_ALL = ["nodes", "pods -A", "poddisruptionbudgets -A"]
_KUBECTL = f"kubectl --kubeconfig={ADMIN_CONF} --request-timeout=20s"
_PATCH = f'{_KUBECTL} patch node "$1" --type=merge -p "$2" </dev/null'
_DELETE = f'{_KUBECTL} delete node "$1" --ignore-not-found </dev/null'


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
    observed = read(Objects, names=_ALL)
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
    if found.bare:
        names = [each.partition("/") for each in found.bare]
        commands = "; ".join(f"kubectl delete pod -n {space} {pod}" for space, _, pod in names)
        raise HostFailure(messages.BARE_PODS(pods=", ".join(found.bare), commands=commands))
    if found.stuck:
        budgets = ", ".join(f"{pod} ({budget})" for pod, budget in found.stuck.items())
        raise HostFailure(messages.BUDGET_NEVER_MET(pods=budgets))
    is_cordoned = pod_format.cordon(_resource(observed.objects, node))[0]
    if is_cordoned and not found.pods:
        host.noop(f"{node} is cordoned, and has no pods to evict")
        return
    moving = f"evict {', '.join(found.pods)}" if found.pods else "evict no pods"
    plan(f"Will drain {node}: {moving}")
    if found.local:
        plan(f"Their local data (emptyDir) is deleted: {', '.join(found.local)}")
    others = [name for name in known if name != node and _takes_pods(observed.objects, name)]
    if found.pods and not others:
        plan(messages.NO_ROOM(pods=", ".join(found.pods)))
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
    plan_change(f"delete the node {node} from the cluster")
    yield FunctionCommand(_delete, (node, answers, yes), {})


def _drain(state: State, host: Host, node: str, seconds: int, cordon: bool) -> bool:
    here = remote.of(host)
    if cordon:
        since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        _patch(host, node, f"deploys/remove.py since {since}", True)
    command = StringCommand(
        "kubectl",
        QuoteString(f"--kubeconfig={ADMIN_CONF}"),
        "drain",
        QuoteString(node),
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        f"--timeout={seconds}s",
    )
    result = here.stream(command, on_line=partial(_show, host))
    if result.status == 0:
        return True
    if result.status == -1:
        raise HostFailure(messages.DRAIN_LOST(node=node, reason=result.last_line))
    try:
        objects = here.gather(Objects(), _ALL).objects
        if pod_format.cordon(_resource(objects, node))[1]:
            _patch(host, node, None, None)
        left = pod_format.leaving(objects, node)
        pods = [f"{pod} ({left.held[pod]})" if pod in left.held else pod for pod in left.pods]
    except (RemoteFailure, FactProcessError) as failure:
        raise HostFailure(messages.DRAIN_LOST(node=node, reason=failure)) from failure
    reason = ", ".join(pods) or result.last_line
    raise HostFailure(messages.NOT_DRAINED(node=node, seconds=seconds, pods=reason))


def _show(host: Host, line: str) -> None:
    """Show each pod that is gone; everything else goes to the log."""
    if line.endswith(" evicted"):
        host.log(line)
    else:
        detail(host, line)


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


def _patch(host: Host, node: str, note: str | None, unschedulable: bool | None) -> None:
    """Cordon a node and note whose cordon it is, or undo both, in one request."""
    patch = {
        "metadata": {"annotations": {pod_format.CORDON: note}},
        "spec": {"unschedulable": unschedulable},
    }
    remote.of(host).run(_PATCH, node, json.dumps(patch))


def _answers(node: str) -> bool:
    """Whether this run has a connection to a node, or had one."""
    return any(each.name == node for each in state.activated_hosts)


def _resource(objects: Iterable[Mapping[str, Any]], node: str) -> Mapping[str, Any]:
    return next(
        each for each in objects if each["kind"] == "Node" and each["metadata"]["name"] == node
    )


def _takes_pods(objects: Iterable[Mapping[str, Any]], node: str) -> bool:
    found = node_format.nodes([_resource(objects, node)])[node]
    return not found.trouble and not any(effect == "NoSchedule" for _, effect in found.taints)
