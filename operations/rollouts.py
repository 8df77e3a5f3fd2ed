"""
Waiting for what the cluster sets going: nodes that become Ready, pods that come up.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import gevent
from pyinfra.api import FactProcessError
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.kubectl import Objects
from formats.node import find, nodes, rollout_trouble
from operations.kubeadm.kubelet_watch import KubeletWatch
from remote.failures import RemoteFailure, Unreachable
from runs.output import failed

SYSTEM = ("kube-system/daemonset/kube-proxy", "kube-system/deployment/coredns")
_PATIENCE_S = 45  # that a node may be out of reach: some restart in so many
_PAUSE_S = 2  # between two looks at the cluster
_LOOK_S = 4  # and at a node


def node_troubles(objects: Sequence[Mapping[str, Any]], ready: Sequence[str]) -> dict[str, str]:
    """Of the nodes that shall be Ready, those that are not, and why."""
    known = nodes(objects)
    found = {
        name: known[name].trouble if name in known else "the cluster does not know it"
        for name in ready
    }
    return {name: why for name, why in found.items() if why}


def rollout_troubles(
    objects: Sequence[Mapping[str, Any]], rollouts: Sequence[str], gone: Collection[str] = ()
) -> list[str]:
    """
    What is not rolled out yet, a line each.

    + rollouts: ``NAMESPACE/KIND/NAME``
    + gone: nodes whose pods are not waited for, although the cluster may not miss them yet
    """

    known = nodes(objects)
    down = sum(1 for name, node in known.items() if node.trouble or name in gone)
    found = []
    for word in rollouts:
        name = word.rsplit("/", 1)[1]
        trouble = rollout_trouble(find(objects, word), name, len(known), down)
        found += [trouble] if trouble else []
    return found


def troubles(
    objects: Sequence[Mapping[str, Any]], ready: Sequence[str], rollouts: Sequence[str]
) -> list[str]:
    """
    What is not up yet, a line each.

    + ready: names of nodes that shall be Ready
    + rollouts: ``NAMESPACE/KIND/NAME`` of what shall be rolled out

    Ready alone is not enough: CNI files left by a reset make a node Ready before flannel runs.
    """

    waiting = [f"{name}: {why}" for name, why in node_troubles(objects, ready).items()]
    return waiting + rollout_troubles(objects, rollouts)


def await_all(
    state: State, host: Host, ready: Sequence[str], rollouts: Sequence[str], seconds: int
) -> bool:
    """
    Wait until nothing of it is in trouble; for use as a ``FunctionCommand`` on the control plane.

    Shows what is being waited for whenever that changes. A node that failed in this run is not
    waited for, nor one that does not answer any more or whose kubelet keeps exiting: it fails, and
    the others go on.
    """

    wait = _Wait(state, host, ready, rollouts)
    try:
        return wait.until(time.monotonic() + seconds, f"not up after {seconds} s")
    finally:
        wait.end()


class _Wait:
    """Of the control plane for the nodes, each of which is looked at beside it."""

    def __init__(
        self, state: State, control_plane: Host, ready: Sequence[str], rollouts: Sequence[str]
    ) -> None:
        self._state = state
        self._control_plane = control_plane
        self._rollouts = rollouts
        failed_names = {each.name for each in state.failed_hosts}
        self._ready = [name for name in ready if name not in failed_names]
        self._gone: set[str] = set()
        self._looks: dict[Host, gevent.Greenlet[..., str]] = {}

    def until(self, end: float, late: str) -> bool:
        """Whether all that is left is up in the end."""
        shown: list[str] = []
        self._begin()
        while True:
            try:
                waiting, rest = self._troubles()
            except Unreachable:
                self.end()  # those that are reached through the control plane are away with it
                why = remote.of(self._control_plane).reconnect(seconds=_PATIENCE_S)
                if why is not None:
                    return failed(self._control_plane, f"does not answer any more: {why}")
                self._begin()
                continue
            before = set(self._gone)
            for each, look in self._looks.items():
                if look.ready() and look.value and each.name not in self._gone:
                    self._fail(each.name, look.value)
            if not waiting.keys() - self._gone and not rest:
                return self._control_plane.name not in self._gone
            if time.monotonic() > end:
                for name, why in waiting.items():
                    if name not in self._gone:
                        self._fail(name, f"{late}: {why}")
                if self._gone == before:
                    for line in rest:
                        self._fail(self._control_plane.name, f"{late}: {line}")
            if self._control_plane.name in self._gone:
                return False
            left = [*(f"{name}: {why}" for name, why in waiting.items()), *rest]
            if left != shown:
                self._control_plane.log(f"waiting: {'; '.join(left)}")
                shown = left
            gevent.sleep(_PAUSE_S)

    def _begin(self) -> None:
        for each in self._state.activated_hosts - self._state.failed_hosts:
            if each is self._control_plane or each.name in self._ready:
                self._looks[each] = gevent.spawn(_fault, each, each is not self._control_plane)

    def end(self) -> None:
        """Look at no node any more."""
        gevent.killall(list(self._looks.values()))

    def _troubles(self) -> tuple[dict[str, str], list[str]]:
        """The nodes that are not Ready, and what else is not up. Raises ``Unreachable``."""
        fact = Objects()
        words = ["nodes", *self._rollouts]
        try:
            now = remote.of(self._control_plane).gather(fact, words)
        except Unreachable:
            raise
        except (RemoteFailure, FactProcessError) as failure:
            return {}, [str(failure)]
        if not now.answers:
            return {}, [now.why]
        ready = [name for name in self._ready if name not in self._gone]
        return (
            node_troubles(now.objects, ready),
            rollout_troubles(now.objects, self._rollouts, self._gone),
        )

    def _fail(self, name: str, why: str) -> None:
        """The node that is at fault, by its own name: in red, and in the summary."""
        self._gone.add(name)
        at_fault = self._state.inventory.get_host(name)
        failed(at_fault, why)
        if at_fault is not self._control_plane:
            self._state.fail_hosts({at_fault})


def _fault(host: Host, reconnects: bool) -> str:
    """
    Look at a node until it is clear that waiting for it is in vain: why that is so.

    + reconnects: whether a lost connection is opened again here
    """

    watch = KubeletWatch(host)
    while True:
        try:
            if why := watch.trouble():
                return f"{why} (sudo journalctl -u kubelet on this node says more)"
        except Unreachable:
            lost = remote.of(host).reconnect(seconds=_PATIENCE_S) if reconnects else None
            if lost is not None:
                return f"does not answer any more, and is not waited for: {lost}"
        except RemoteFailure:
            pass  # it answers, and that is enough
        gevent.sleep(_LOOK_S)
