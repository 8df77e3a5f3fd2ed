"""The turn of one node: it is drained, and comes back."""

from __future__ import annotations

from pyinfra.api.host import Host
from pyinfra.api.state import State

from formats import node as node_format
from formats import pods as pod_format
from formats.pods import CORDON, PENDING
from messages import rollout as messages
from operations.base import HostFailure
from operations.nodes import drain
from operations.rollout.checks import away, cluster_nodes
from operations.rollout.waiting import wait_for_pods, wait_until_back
from operations.rollout.work import Rollout, notes_of
from runs import lock
from runs.output import warned


def begin(state: State, host: Host, here: Rollout) -> bool:
    """Cordon a node and evict its pods; a ``FunctionCommand``."""
    first = here.planes.asked(state, host.name)
    resources = cluster_nodes(first)
    lock.of(state).hold(first)
    if others := away(resources.values(), host.name):
        raise HostFailure(messages.NODE_AWAY(nodes=others))
    here.planes.spare(state, host)
    for name in [each for each in here.order if each in here.asked and each in resources]:
        drain.patch(first, name, {PENDING: f"{here.deploy} {here.tokens[name]}"})
    here.asked.clear()
    if host.name not in resources:
        host.log("the cluster does not know it: it is not drained")
        return True
    resource, mark = resources[host.name], drain.note(here.deploy)
    is_cordoned = pod_format.cordon(resource)[0]
    if trouble := node_format.nodes([resource])[host.name].trouble:
        host.log(f"its pods can't be evicted: {trouble}")
        if not is_cordoned:
            drain.patch(first, host.name, {CORDON: mark}, unschedulable=True)
    else:
        drain.drain(first, host, host.name, here.drain_seconds, mark, not is_cordoned)
    here.planes.spare(state, host)  # a drain takes minutes
    return True


def end(state: State, host: Host, here: Rollout) -> bool:
    """Wait until a node is back, and undo the cordon of this deploy; a ``FunctionCommand``."""
    if node_format.find(here.objects, f"/node/{host.name}") is None:  # the cluster does not know it
        here.finished.add(host.name)
        return True
    first = here.planes.asked(state, host.name)
    wait_until_back(host, first, here.objects, here.ready_seconds, here.planes.member(host.name))
    resource = cluster_nodes(first)[host.name]
    is_cordoned, whose = pod_format.cordon(resource)
    own = [key for key, note in notes_of(resource).items() if drain.is_own(note, here.deploy)]
    if own:
        spec = {"unschedulable": None} if CORDON in own and is_cordoned else {}
        drain.patch(first, host.name, dict.fromkeys(own), **spec)
    if is_cordoned and CORDON not in own:
        whose = f"{whose} has cordoned it" if whose else "somebody else has cordoned it"
        warned(host, messages.OF_ANOTHER(node=host.name, whose=whose))
    wait_for_pods(host, first, here.objects, here.ready_seconds)
    here.finished.add(host.name)
    return True
