"""Wait until nodes are Ready and the cluster's own pods run, and fail the nodes that hold it up."""

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
from formats.node import find, nodes, rollout_problem
from messages import Said
from messages import kubernetes as messages
from operations.kubelet_watch import KubeletWatch
from remote.failures import RemoteFailure, Unreachable
from runs.output import failed

SYSTEM = ("kube-system/daemonset/kube-proxy", "kube-system/deployment/coredns")
_AWAY_S = 45  # for a node to answer again, which may be rebooting
_CLUSTER_PAUSE_S = 2  # between two checks of the cluster
_NODE_PAUSE_S = 4  # between two checks of a node


def not_ready(objects: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, str]:
    """Return which of these nodes are not Ready, and why."""
    known = nodes(objects)
    found = {
        name: known[name].trouble if name in known else "the cluster does not know it"
        for name in names
    }
    return {name: reason for name, reason in found.items() if reason}


def not_rolled_out(
    objects: Sequence[Mapping[str, Any]], rollouts: Sequence[str], gone: Collection[str] = ()
) -> list[str]:
    """
    Return what is not rolled out yet, a line each.

    + rollouts: ``NAMESPACE/KIND/NAME``
    + gone: nodes whose pods are not waited for, though the cluster may still count them as Ready
    """
    known = nodes(objects)
    down = sum(1 for name, node in known.items() if node.trouble or name in gone)
    found = []
    for word in rollouts:
        name = word.rsplit("/", 1)[1]
        reason = rollout_problem(find(objects, word), name, len(known), down)
        found += [reason] if reason else []
    return found


def pending(
    objects: Sequence[Mapping[str, Any]], names: Sequence[str], rollouts: Sequence[str]
) -> list[str]:
    """
    Return what is not ready yet, a line each.

    + names: of nodes
    + rollouts: ``NAMESPACE/KIND/NAME``

    Ready nodes alone are not enough: CNI files left by a reset make a node Ready before flannel
    runs.
    """
    waiting = [f"{name}: {reason}" for name, reason in not_ready(objects, names).items()]
    return waiting + not_rolled_out(objects, rollouts)


def wait_until_ready(
    state: State, host: Host, names: Sequence[str], rollouts: Sequence[str], seconds: int
) -> bool:
    """
    Wait until nothing is pending; a ``FunctionCommand`` of the control plane.

    Shows what is pending whenever that changes. A node that failed in this run is not waited for. A
    node that no longer answers, or whose kubelet keeps exiting, fails at once, and the wait for the
    others continues.
    """
    wait = _Wait(state, host, names, rollouts, seconds)
    try:
        return wait.run()
    finally:
        wait.stop()


class _Wait:
    """A wait on the control plane, with one greenlet that watches each node."""

    def __init__(
        self,
        state: State,
        control_plane: Host,
        names: Sequence[str],
        rollouts: Sequence[str],
        seconds: int,
    ) -> None:
        self._state = state
        self._control_plane = control_plane
        self._rollouts = rollouts
        self._seconds = seconds
        failed_names = {each.name for each in state.failed_hosts}
        self._names = [name for name in names if name not in failed_names]
        self._gone: set[str] = set()
        self._watches: dict[Host, gevent.Greenlet[..., Said]] = {}

    def run(self) -> bool:
        """Return whether all that has not failed is ready in the end."""
        end = time.monotonic() + self._seconds
        shown: list[str] = []
        self._start()
        while True:
            try:
                waiting, rest = self._pending()
            except Unreachable:
                self.stop()  # nodes behind the control plane are out of reach too
                reason = remote.of(self._control_plane).reconnect(seconds=_AWAY_S)
                if reason is not None:
                    return failed(self._control_plane, messages.NODE_GONE(reason=reason))
                self._start()
                continue
            before = set(self._gone)
            for each, watch in self._watches.items():
                if watch.ready() and watch.value and each.name not in self._gone:
                    self._fail(each.name, watch.value)
            if not waiting.keys() - self._gone and not rest:
                return self._control_plane.name not in self._gone
            if time.monotonic() > end:
                self._fail_overdue(waiting, rest, self._gone == before)
            if self._control_plane.name in self._gone:
                return False
            lines = [*(f"{name}: {reason}" for name, reason in waiting.items()), *rest]
            if lines != shown:
                self._control_plane.log(f"waiting: {'; '.join(lines)}")
                shown = lines
            gevent.sleep(_CLUSTER_PAUSE_S)

    def _start(self) -> None:
        for each in self._state.activated_hosts - self._state.failed_hosts:
            if each is self._control_plane or each.name in self._names:
                reconnect = each is not self._control_plane
                self._watches[each] = gevent.spawn(_watch, each, reconnect)

    def stop(self) -> None:
        """Stop watching the nodes."""
        gevent.killall(list(self._watches.values()))

    def _pending(self) -> tuple[dict[str, str], list[str]]:
        """Return the nodes that are not Ready, and what else is not. Raises ``Unreachable``."""
        try:
            observed = remote.of(self._control_plane).gather(Objects(), ["nodes", *self._rollouts])
        except Unreachable:
            raise
        except (RemoteFailure, FactProcessError) as failure:
            return {}, [str(failure)]
        if not observed.answers:
            return {}, [observed.why]
        names = [name for name in self._names if name not in self._gone]
        return (
            not_ready(observed.objects, names),
            not_rolled_out(observed.objects, self._rollouts, self._gone),
        )

    def _fail_overdue(self, waiting: Mapping[str, str], rest: Sequence[str], alone: bool) -> None:
        """
        Fail the nodes that are not Ready in time.

        + rest: what else is not ready: the control plane's failure, if no node is to blame
        + alone: whether no node has failed since the last check
        """
        for name, reason in waiting.items():
            if name not in self._gone:
                self._fail(name, messages.NOT_READY(seconds=self._seconds, reason=reason))
                alone = False
        if alone:
            for reason in rest:
                said = messages.PODS_NOT_READY(seconds=self._seconds, reason=reason)
                self._fail(self._control_plane.name, said)

    def _fail(self, name: str, said: Said) -> None:
        """Fail a node under its own name."""
        self._gone.add(name)
        host = self._state.inventory.get_host(name)
        failed(host, said)
        if host is not self._control_plane:
            self._state.fail_hosts({host})


def _watch(host: Host, reconnect: bool) -> Said:
    """
    Watch a node until waiting for it is in vain; return the reason.

    + reconnect: whether to open a lost connection again
    """
    watch = KubeletWatch(host)
    while True:
        try:
            if reason := watch.failure():
                return messages.KUBELET_EXITS(reason=reason)
        except Unreachable:
            lost = remote.of(host).reconnect(seconds=_AWAY_S) if reconnect else None
            if lost is not None:
                return messages.NODE_GONE(reason=lost)
        except RemoteFailure:
            pass  # the node answers, which is enough
        gevent.sleep(_NODE_PAUSE_S)
