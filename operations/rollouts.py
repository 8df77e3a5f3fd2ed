"""
Waiting for what the cluster sets going: nodes that become Ready, pods that come up.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import gevent
from pyinfra.api import FactProcessError
from pyinfra.api.host import Host
from pyinfra.api.state import State

from facts.kubectl import Objects
from formats.node import find, nodes, rollout_trouble
from operations import connection
from operations.following import failed
from operations.remote_shell import RemoteFailure, Unreachable, gather

SYSTEM = ("kube-system/daemonset/kube-proxy", "kube-system/deployment/coredns")
_PATIENCE_S = 60  # that the head may be out of reach
_PAUSE_S = 2


def troubles(
    objects: Sequence[Mapping[str, Any]], ready: Sequence[str], rollouts: Sequence[str]
) -> list[str]:
    """
    What is not up yet, a line each.

    + ready: names of nodes that shall be Ready
    + rollouts: ``NAMESPACE/KIND/NAME`` of what shall be rolled out

    Ready alone is not enough: CNI files left by a reset make a node Ready before flannel runs.
    """

    known = nodes(objects)
    found = [
        f"{name}: {known[name].trouble if name in known else 'the cluster does not know it'}"
        for name in ready
        if name not in known or known[name].trouble
    ]
    down = sum(1 for node in known.values() if node.trouble)
    for word in rollouts:
        name = word.rsplit("/", 1)[1]
        trouble = rollout_trouble(find(objects, word), name, len(known), down)
        found += [trouble] if trouble else []
    return found


def await_all(
    state: State, host: Host, ready: Sequence[str], rollouts: Sequence[str], seconds: int
) -> bool:
    """
    Wait until nothing of it is in trouble; for use as a ``FunctionCommand`` on the head.

    Shows what is being waited for whenever that changes. A node that failed in this run is not
    waited for.
    """

    gone = {failed_host.name for failed_host in state.failed_hosts}
    names = [name for name in ready if name not in gone]
    fact = Objects()
    words = ["nodes", *rollouts]
    end = time.monotonic() + seconds
    shown: list[str] = []
    while True:
        try:
            now = gather(host, fact, words)
            left = troubles(now.objects, names, rollouts) if now.answers else [now.why]
        except Unreachable:
            why = connection.reconnect(host, seconds=_PATIENCE_S)
            if why is not None:
                return failed(host, f"does not answer any more: {why}")
            continue
        except (RemoteFailure, FactProcessError) as failure:
            left = [str(failure)]
        if not left:
            return True
        if time.monotonic() > end:
            for line in left:
                failed(host, f"not up after {seconds} s: {line}")
            return False
        if left != shown:
            host.log(f"waiting: {'; '.join(left)}")
            shown = left
        gevent.sleep(_PAUSE_S)
