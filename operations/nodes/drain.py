"""Cordon a node, evict its pods, and undo the cordon; by kubectl on the control plane."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import gevent
from pyinfra.api import FactProcessError, QuoteString, StringCommand
from pyinfra.api.host import Host

import remote
from facts.kubectl import ADMIN_CONF, Objects
from formats import pods as pod_format
from formats.node import find
from formats.placement import unplaced
from formats.pods import CORDON, Leaving
from messages import Said
from messages import kubernetes as messages
from operations.base import plan
from remote.failures import HostFailure, RemoteFailure
from runs.output import detail

# What a drain is decided on.
OBJECTS = ("nodes", "pods -A", "poddisruptionbudgets -A")
_PATCH = f"""kubectl --kubeconfig={ADMIN_CONF} --request-timeout=20s patch node "$1" --type=merge \
-p "$2" </dev/null"""
_EVICT = f"""kubectl --kubeconfig={ADMIN_CONF} --request-timeout=20s create \
--raw "/api/v1/namespaces/$1/pods/$2/eviction" -f - >/dev/null"""
_PAUSE_S = 1
REMOVAL = "deploys/remove.py"


def obstacles(found: Iterable[Leaving]) -> list[Said]:
    """Return why pods can't be evicted, whatever is waited for."""
    found = list(found)
    said = []
    if bare := [name for each in found for name in each.bare]:
        names = [each.partition("/") for each in bare]
        commands = "; ".join(f"kubectl delete pod -n {space} {pod}" for space, _, pod in names)
        said.append(messages.BARE_PODS(pods=", ".join(bare), commands=commands))
    if stuck := {pod: budget for each in found for pod, budget in each.stuck.items()}:
        budgets = ", ".join(f"{pod} ({budget})" for pod, budget in stuck.items())
        said.append(messages.BUDGET_NEVER_MET(pods=budgets))
    return said


def plan_losses(objects: Sequence[Mapping[str, Any]], node: str, found: Leaving) -> None:
    """Show which of the pods that leave a node lose local data, and which have no other place."""
    if found.local:
        plan(f"   their local data (emptyDir) is deleted: {', '.join(found.local)}")
    if left := unplaced(objects, found.pods, node):
        plan(messages.NO_ROOM(pods=", ".join(left)))


def drain(
    control_plane: Host, shown: Host, node: str, seconds: int, mark: str, cordon: bool
) -> None:
    """
    Cordon a node, and evict its pods.

    Of several replicas which are all on this node, one is evicted first, and made again elsewhere
    before the others go.

    + control_plane: where kubectl runs
    + shown: the host under whose name progress is shown
    + seconds: after which it is given up, and the cordon undone if it is of the same deploy
    + mark: the ``note``
    + cordon: False: it is cordoned already

    ``HostFailure``: a pod can't be evicted in time, or the connection was lost.
    """
    here = remote.of(control_plane)
    end = time.monotonic() + seconds
    try:
        if cordon:
            patch(control_plane, node, {CORDON: mark}, unschedulable=True)
        reason = _spread(here, shown, node, end)
        if not reason:
            result = here.stream(_command(node, end), on_line=partial(_show, shown))
            if result.status == 0:
                return
            if result.status == -1:
                raise HostFailure(messages.DRAIN_LOST(node=node, reason=result.last_line))
            reason = result.last_line
        objects = _objects(here, *OBJECTS)
        if is_own(pod_format.cordon(find(objects, f"/node/{node}") or {})[1], mark):
            patch(control_plane, node, {CORDON: None}, unschedulable=None)
        left = pod_format.leaving(objects, node)
        pods = [f"{pod} ({left.held[pod]})" if pod in left.held else pod for pod in left.pods]
    except (RemoteFailure, FactProcessError) as failure:
        raise HostFailure(messages.DRAIN_LOST(node=node, reason=failure)) from failure
    said = messages.NOT_DRAINED(node=node, seconds=seconds, pods=", ".join(pods) or reason)
    raise HostFailure(said)


def note(deploy: str) -> str:
    """Make the note on a cordon: whose it is, and since when."""
    return f"{deploy} since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def is_own(found: str, mark: str) -> bool:
    """Tell whether a note on a cordon is of the same deploy as another."""
    return bool(found) and found.partition(" ")[0] == mark.partition(" ")[0]


def patch(control_plane: Host, node: str, notes: Mapping[str, str | None], **spec: Any) -> None:
    """Set annotations of a node, or remove them (None), and fields of its spec, in one request."""
    content = {"metadata": {"annotations": dict(notes)}, "spec": spec}
    remote.of(control_plane).run(_PATCH, node, json.dumps(content))


def _command(node: str, end: float) -> StringCommand:
    return StringCommand(
        "kubectl",
        QuoteString(f"--kubeconfig={ADMIN_CONF}"),
        "drain",
        QuoteString(node),
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        f"--timeout={max(1, int(end - time.monotonic()))}s",
    )


def _spread(here: remote.Node, shown: Host, node: str, end: float) -> str:
    """
    Evict one of several replicas that are all on a node, and wait until it runs elsewhere.

    + returns: "", or what does not run elsewhere in time
    """
    objects = _objects(here, *OBJECTS)
    stay = unplaced(objects, pod_format.leaving(objects, node).pods, node)
    moving = {}
    for uid, pod in pod_format.gathered(objects, node).items():
        if pod not in stay:
            with suppress(RemoteFailure):  # a budget forbids it, and keeps the others too
                namespace, _, name = pod.partition("/")
                eviction = {
                    "apiVersion": "policy/v1",
                    "kind": "Eviction",
                    "metadata": {"name": name, "namespace": namespace},
                }
                here.run(_EVICT, namespace, name, stdin=json.dumps(eviction))
                shown.log(f"pod/{name} evicted; it has to run elsewhere before the others go")
                moving[uid] = pod
    while moving:
        there = pod_format.ready_elsewhere(_objects(here, "pods -A"), node)
        moving = {uid: pod for uid, pod in moving.items() if uid not in there}
        if moving and time.monotonic() > end:
            return f"what replaces {', '.join(moving.values())} is not Ready"
        gevent.sleep(_PAUSE_S)
    return ""


def _objects(here: remote.Node, *names: str) -> list[dict[str, Any]]:
    observed = here.gather(Objects(), list(names))
    if not observed.answers:
        raise RemoteFailure(observed.why)
    return observed.objects


def _show(host: Host, line: str) -> None:
    """Show each pod that is gone; everything else goes to the log."""
    if line.endswith(" evicted"):
        host.log(line)
    else:
        detail(host, line)
