"""Wait until a node that was worked on is back in the cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gevent
from pyinfra.api import FactProcessError
from pyinfra.api.host import Host

import remote
from facts.boot import BootId
from facts.kubectl import Objects
from facts.livez import Livez
from formats import node as node_format
from formats import pods as pod_format
from formats.placement import unplaced
from messages import kubernetes as kubernetes_messages
from messages import rollout as messages
from operations.kubelet_watch import KubeletWatch
from operations.nodes.control_planes import unwell_member
from remote.failures import HostFailure, RemoteFailure, Unreachable

_PAUSE_S = 2
_AWAY_S = 5  # for a node to answer again, before that is shown


def wait_until_back(
    node: Host,
    control_plane: Host,
    before: Sequence[Mapping[str, Any]],
    seconds: int,
    member: str = "",
) -> None:
    """
    Wait until a node is Ready, its pods are, and the API server is well.

    + before: nodes and pods before the first node; pods that were not Ready then are not waited for
    + seconds: how long to wait
    + member: the address of its member of etcd, which then is waited for, and its own API server

    ``HostFailure``: it is not in time, or its kubelet keeps exiting.
    """
    back, watch = _Back(node, control_plane, before, member), KubeletWatch(node)

    def pending() -> str:
        try:
            reason = back.pending()
            if reason and (words := watch.failure()):
                raise HostFailure(kubernetes_messages.KUBELET_EXITS(reason=words))
        except Unreachable:
            lost = [remote.of(each).ensure_open(_AWAY_S) for each in (control_plane, node)]
            return next((f"no connection: {each}" for each in lost if each), "connected again")
        return reason

    if reason := wait(node, pending, seconds, "waiting:"):
        raise HostFailure(messages.NOT_READY_AGAIN(seconds=seconds, reason=reason))


def wait_for_pods(
    node: Host, control_plane: Host, before: Sequence[Mapping[str, Any]], seconds: int
) -> None:
    """
    Wait until the pods that a drain has moved are Ready, on whichever node.

    + before: the pods before the first node; controllers with pods that were not Ready then are
      not waited for, nor are pods that no node takes

    ``HostFailure``: they are not in time.
    """
    troubled = set(pod_format.unready(before).values())

    def pending() -> str:
        observed = remote.of(control_plane).gather(Objects(), ["nodes", "pods -A"])
        found = pod_format.unready(observed.objects)
        names = {name for name, uid in found.items() if uid and uid not in troubled}
        names -= set(unplaced(observed.objects, names & pod_format.unscheduled(observed.objects)))
        return ", ".join(sorted(names)) if observed.answers else observed.why

    if reason := wait(node, pending, seconds, "waiting for the pods"):
        raise HostFailure(messages.PODS_NOT_BACK(seconds=seconds, pods=reason))


def wait(node: Host, pending: Callable[[], str], seconds: int, words: str) -> str:
    """
    Wait until nothing is pending, and show what is.

    + pending: returns what is not as it should be; "" when all is
    + words: which stand before that
    + returns: "", or what is still pending after that time
    """
    end, shown = time.monotonic() + seconds, ""
    while True:
        try:
            reason = pending()
        except (RemoteFailure, FactProcessError) as failure:
            reason = str(failure)
        if not reason or time.monotonic() > end:
            return reason
        if reason != shown:
            node.log(f"{words} {reason}")
            shown = reason
        gevent.sleep(_PAUSE_S)


class _Back:
    """A node that is waited for."""

    def __init__(
        self, node: Host, control_plane: Host, before: Sequence[Mapping[str, Any]], member: str
    ) -> None:
        self._node, self._control_plane, self._member = node, control_plane, member
        self._here, self._there = remote.of(node), remote.of(control_plane)
        self._boot = _boot(node_format.find(before, f"/node/{node.name}") or {})
        self._unready = pod_format.unready(before).keys()
        self._containers = pod_format.containers(before)
        self._renewed: str | None = None

    def pending(self) -> str:
        """Return what is not as it should be; "" when all is."""
        name = self._node.name
        boot = self._here.gather(BootId())
        lease = f"kube-node-lease/lease/{name}"
        pods = f"pods -A --field-selector=spec.nodeName={name}"
        observed = self._there.gather(Objects(), ["nodes", pods, lease])
        if not observed.answers:
            return observed.why
        resource = node_format.find(observed.objects, f"/node/{name}")
        if resource is None:
            return "the cluster does not know it"
        # The cluster takes a node that is away for Ready for a while: it has to report again.
        is_new = boot != self._boot
        has_renewed = self._has_renewed(node_format.find(observed.objects, lease))
        if _boot(resource) != boot or not (is_new or has_renewed):
            return "its kubelet has not reported yet"
        if trouble := node_format.nodes([resource])[name].trouble:
            return f"not Ready: {trouble}"
        # Nor have its pods reported yet whose containers are those of before the reboot.
        if is_new and pod_format.containers(observed.objects) & self._containers:
            return "its pods have not reported yet"
        if waiting := pod_format.unready(observed.objects).keys() - self._unready:
            return f"pods are not Ready: {', '.join(sorted(waiting))}"
        if unwell := (self._here if self._member else self._there).gather(Livez()):
            return f"the API server is not well: {unwell}"
        return unwell_member(self._control_plane, self._member) if self._member else ""

    def _has_renewed(self, lease: Mapping[str, Any] | None) -> bool:
        """Tell whether the kubelet has renewed its lease since the first check."""
        renewed = str(((lease or {}).get("spec") or {}).get("renewTime", ""))
        if self._renewed is None:
            self._renewed = renewed
        return renewed != self._renewed


def _boot(node: Mapping[str, Any]) -> str:
    return str(((node.get("status") or {}).get("nodeInfo") or {}).get("bootID", ""))
