"""Cordon a node, evict its pods, and undo the cordon; by kubectl on the control plane."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pyinfra.api import FactProcessError, QuoteString, StringCommand
from pyinfra.api.host import Host

import remote
from facts.kubectl import ADMIN_CONF, Objects
from formats import pods as pod_format
from formats.pods import Leaving
from messages import Said
from messages import kubernetes as messages
from remote.failures import HostFailure, RemoteFailure
from runs.output import detail

# What a drain is decided on.
OBJECTS = ("nodes", "pods -A", "poddisruptionbudgets -A")
_PATCH = f"""kubectl --kubeconfig={ADMIN_CONF} --request-timeout=20s patch node "$1" --type=merge \
-p "$2" </dev/null"""


def node_resource(objects: Iterable[Mapping[str, Any]], node: str) -> Mapping[str, Any]:
    """Return a node among these objects."""
    return next(
        each for each in objects if each["kind"] == "Node" and each["metadata"]["name"] == node
    )


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


def drain(
    control_plane: Host, shown: Host, node: str, seconds: int, mark: str, cordon: bool
) -> None:
    """
    Cordon a node, and evict its pods.

    + control_plane: where kubectl runs
    + shown: the host under whose name progress is shown
    + seconds: after which it is given up, and the cordon undone if it is of the same deploy
    + mark: the ``note``
    + cordon: False: it is cordoned already

    ``HostFailure``: a pod can't be evicted in time, or the connection was lost.
    """
    here = remote.of(control_plane)
    if cordon:
        patch_cordon(control_plane, node, mark)
    command = StringCommand(
        "kubectl",
        QuoteString(f"--kubeconfig={ADMIN_CONF}"),
        "drain",
        QuoteString(node),
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        f"--timeout={seconds}s",
    )
    result = here.stream(command, on_line=partial(_show, shown))
    if result.status == 0:
        return
    if result.status == -1:
        raise HostFailure(messages.DRAIN_LOST(node=node, reason=result.last_line))
    try:
        objects = here.gather(Objects(), list(OBJECTS)).objects
        if is_own(pod_format.cordon(node_resource(objects, node))[1], mark):
            patch_cordon(control_plane, node, None)
        left = pod_format.leaving(objects, node)
        pods = [f"{pod} ({left.held[pod]})" if pod in left.held else pod for pod in left.pods]
    except (RemoteFailure, FactProcessError) as failure:
        raise HostFailure(messages.DRAIN_LOST(node=node, reason=failure)) from failure
    reason = ", ".join(pods) or result.last_line
    raise HostFailure(messages.NOT_DRAINED(node=node, seconds=seconds, pods=reason))


def note(deploy: str) -> str:
    """Make the note on a cordon: whose it is, and since when."""
    return f"{deploy} since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def is_own(found: str, mark: str) -> bool:
    """Tell whether a note on a cordon is of the same deploy as another."""
    return bool(found) and found.partition(" ")[0] == mark.partition(" ")[0]


def patch_cordon(control_plane: Host, node: str, mark: str | None) -> None:
    """Cordon a node and note whose cordon it is, or undo both (None), in one request."""
    patch = {
        "metadata": {"annotations": {pod_format.CORDON: mark}},
        "spec": {"unschedulable": True if mark else None},
    }
    remote.of(control_plane).run(_PATCH, node, json.dumps(patch))


def _show(host: Host, line: str) -> None:
    """Show each pod that is gone; everything else goes to the log."""
    if line.endswith(" evicted"):
        host.log(line)
    else:
        detail(host, line)
