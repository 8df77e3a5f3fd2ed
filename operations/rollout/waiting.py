"""Wait until a node that was worked on is back in the cluster."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
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
from messages import kubernetes as kubernetes_messages
from messages import rollout as messages
from operations.kubeadm.kubelet_watch import KubeletWatch
from remote.failures import HostFailure, RemoteFailure, Unreachable

_PAUSE_S = 2
_AWAY_S = 5  # for a node to answer again, before that is shown


def wait_until_back(
    node: Host,
    control_plane: Host,
    before: Mapping[str, Any],
    unready: Collection[str],
    seconds: int,
) -> None:
    """
    Wait until a node is Ready, its pods are, and the API server is well.

    + before: its Node object before it was worked on
    + unready: pods that were not Ready before, which are not waited for
    + seconds: how long to wait

    ``HostFailure``: it is not in time, or its kubelet keeps exiting.
    """
    back, watch = _Back(node, control_plane, before, unready), KubeletWatch(node)
    end, shown = time.monotonic() + seconds, ""
    while True:
        try:
            reason = back.pending()
            if reason and (words := watch.failure()):
                raise HostFailure(kubernetes_messages.KUBELET_EXITS(reason=words))
        except Unreachable:
            lost = [remote.of(each).ensure_open(_AWAY_S) for each in (control_plane, node)]
            reason = next((f"no connection: {each}" for each in lost if each), "connected again")
        except (RemoteFailure, FactProcessError) as failure:
            reason = str(failure)
        if not reason:
            return
        if time.monotonic() > end:
            raise HostFailure(messages.NOT_READY_AGAIN(seconds=seconds, reason=reason))
        if reason != shown:
            node.log(f"waiting: {reason}")
            shown = reason
        gevent.sleep(_PAUSE_S)


class _Back:
    """A node that is waited for."""

    def __init__(
        self,
        node: Host,
        control_plane: Host,
        before: Mapping[str, Any],
        unready: Collection[str],
    ) -> None:
        self._node, self._unready = node, unready
        self._here, self._there = remote.of(node), remote.of(control_plane)
        self._boot_before = _boot(before)
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
        if _boot(resource) != boot or not (
            boot != self._boot_before
            or self._has_renewed(node_format.find(observed.objects, lease))
        ):
            return "its kubelet has not reported yet"
        if trouble := node_format.nodes([resource])[name].trouble:
            return f"not Ready: {trouble}"
        if waiting := pod_format.unready(observed.objects) - frozenset(self._unready):
            return f"pods are not Ready: {', '.join(sorted(waiting))}"
        unwell = self._there.gather(Livez())
        return f"the API server is not well: {unwell}" if unwell else ""

    def _has_renewed(self, lease: Mapping[str, Any] | None) -> bool:
        """Tell whether the kubelet has renewed its lease since the first check."""
        renewed = str(((lease or {}).get("spec") or {}).get("renewTime", ""))
        if self._renewed is None:
            self._renewed = renewed
        return renewed != self._renewed


def _boot(node: Mapping[str, Any]) -> str:
    return str(((node.get("status") or {}).get("nodeInfo") or {}).get("bootID", ""))
