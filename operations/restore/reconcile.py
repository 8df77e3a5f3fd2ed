"""Wait until the nodes report to a restored cluster, and list what its backup does not know."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import gevent
from pyinfra.api import FactProcessError
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.kubeadm import Member
from facts.kubectl import DELETE_NODE, Objects
from facts.restoration import Restoration
from formats import node as node_format
from formats.restored import Differences, compare, reporting
from messages import Said
from messages import restore as messages
from remote.failures import RemoteFailure
from runs.output import warned

_COMPLETE = ("joined", "control plane")
_OBJECTS = ["nodes", "pods -A", "leases -n kube-node-lease"]
_PAUSE_S = 2
_SILENT_S = 25  # in which a kubelet that runs renews its lease, which it does every 10 s
_RESTART = "systemctl reset-failed kubelet 2>/dev/null; systemctl restart kubelet"


def reconcile(
    state: State,
    host: Host,
    control_plane: str,
    others: Sequence[str],
    pods: Mapping[str, Mapping[str, str]],
    seconds: int,
) -> None:
    """
    Wait for the kubelets, register again those that the backup does not know, and list the rest.

    + host: the control plane
    + control_plane, others: names of all nodes in the inventory
    + pods: that ran on each worker before the restore
    + seconds: how long kubelets are waited for; ``nodes.ready`` says why one does not come
    """
    here = remote.of(host)
    since = here.gather(Restoration()).now
    joined = _joined(state, others)
    restarted: set[str] = set()
    end, silent = time.monotonic() + seconds, time.monotonic() + _SILENT_S
    while True:
        objects = _objects(here)
        known = node_format.nodes(objects)
        for name in joined.keys() - known.keys() - restarted if known else ():
            warned(host, messages.NODE_REGISTERED(node=name))
            with suppress(RemoteFailure):  # it may be away for a moment: ``nodes.ready`` says so
                remote.of(joined[name]).run(_RESTART)
            restarted.add(name)
        renewed = reporting(objects, since)
        waiting = {control_plane, *joined} - renewed
        quiet = known.keys() - renewed
        now = time.monotonic()
        if now > end or (not waiting and (not quiet or now > silent)):
            break
        gevent.sleep(_PAUSE_S)
    if not known:
        return  # the API server does not answer
    for name in sorted(quiet - waiting):
        if name in (control_plane, *others):
            warned(host, messages.NODE_SILENT(node=name, reason="its kubelet does not run"))
        else:
            warned(host, messages.NODE_GONE(node=name))
            here.run(DELETE_NODE, name)
    for name in sorted(known.keys() & renewed - {control_plane, *others}):
        warned(host, messages.NODE_EXTRA(node=name))
    for said in _differences(compare(objects, pods)):
        warned(host, said)


def _joined(state: State, names: Sequence[str]) -> dict[str, Host]:
    """Those of these nodes that are in this run, and part of the cluster."""
    found = {}
    for each in state.active_hosts - state.failed_hosts:
        if each.name in names and remote.of(each).gather(Member()).state in _COMPLETE:
            found[each.name] = each
    return found


def _objects(here: remote.Node) -> list[dict[str, Any]]:
    """Nodes, pods and leases; none while the API server does not answer."""
    try:
        observed = here.gather(Objects(), _OBJECTS)
    except (RemoteFailure, FactProcessError):
        return []
    return observed.objects if observed.answers else []


def _differences(found: Differences) -> Iterable[Said]:
    if found.unknown:
        yield messages.PODS_STOPPED(pods=", ".join(found.unknown))
    if found.again:
        yield messages.PODS_AGAIN(pods=", ".join(found.again))
