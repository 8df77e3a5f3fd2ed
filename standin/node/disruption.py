"""
Ending pods: by deletion, and by eviction, which PodDisruptionBudgets may refuse.

Source: kubernetes.io, "API-initiated Eviction", "Specifying a Disruption Budget".
"""

from __future__ import annotations

import math

from .common import Obj, is_ready, lookup, stamp, text
from .resources import BY_KEY
from .store import Store

PODS, NODES, BUDGETS, DEPLOYMENTS = (
    BY_KEY[one] for one in ("pods", "nodes", "poddisruptionbudgets.policy", "deployments.apps")
)


def owners(pod: Obj) -> set[str]:
    """Return the UIDs of what a pod belongs to."""
    return {one["uid"] for one in pod["metadata"].get("ownerReferences", [])}


def is_ending(pod: Obj) -> bool:
    """Whether a pod is to end: its node's kubelet removes it when it has."""
    return "deletionTimestamp" in pod["metadata"]


def end(store: Store, pod: Obj, seconds: int = 30) -> None:
    """Have a pod end; seconds: 0 removes it at once, as does having no node."""
    meta, where = pod["metadata"], pod["spec"].get("nodeName", "")
    with store.writing:
        current = store.get(PODS, meta["namespace"], meta["name"])
        if not seconds or store.get(NODES, "", where) is None:
            store.delete(PODS, meta["namespace"], meta["name"])
        elif current and not is_ending(current):
            times = {"deletionTimestamp": stamp(), "deletionGracePeriodSeconds": seconds}
            current["metadata"] |= times
            store.update(PODS, current)


def _matching(store: Store, budget: Obj) -> list[Obj]:
    wanted = lookup(budget, "spec.selector.matchLabels") or {}
    pods = store.peek(PODS, budget["metadata"]["namespace"])
    return [one for one in pods if wanted.items() <= (one["metadata"].get("labels") or {}).items()]


def status(store: Store, budget: Obj) -> Obj:
    """Return a budget's status at this moment."""
    pods, spec = _matching(store, budget), budget["spec"]
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    owned = set[str]().union(*map(owners, pods))
    several = (one for one in store.peek(DEPLOYMENTS) if one["metadata"]["uid"] in owned)
    replicas = sum(one["spec"].get("replicas", 1) for one in several)
    expected = len(pods) if isinstance(least, int) else replicas
    number = str(most if least is None else least)
    share = math.ceil(int(number[:-1]) * expected / 100) if number.endswith("%") else int(number)
    desired = share if least is not None else max(expected - share, 0)
    healthy = sum(is_ready(one) and not is_ending(one) for one in pods)
    allowed = max(healthy - desired, 0) if expected else 0
    found: Obj = {"currentHealthy": healthy, "desiredHealthy": desired}
    found |= {"disruptionsAllowed": allowed, "expectedPods": expected}
    return found | {"observedGeneration": budget["metadata"].get("generation", 1)}


def evict(store: Store, pod: Obj) -> str:
    """Have a pod end unless a budget forbids it; return why it does."""
    meta = pod["metadata"]
    with store.writing:
        for budget in store.peek(BUDGETS, meta["namespace"]):
            found = status(store, budget)
            has, needs = found["currentHealthy"], found["desiredHealthy"]
            is_counted = lookup(pod, "status.phase") == "Running" and not is_ending(pod)
            is_broken = not is_ready(pod) and has >= needs > 0
            if not is_counted or is_broken or found["disruptionsAllowed"]:
                continue
            if any(one["metadata"]["uid"] == meta["uid"] for one in _matching(store, budget)):
                name = budget["metadata"]["name"]
                return text("budget", name=name, needs=needs, has=has)
        end(store, pod)
    return ""


def run(store: Store) -> None:
    """Keep the budgets' status up to date."""
    for one in store.listed(BUDGETS)[0]:
        if one.get("status") != (found := status(store, one)):
            store.update(BUDGETS, one | {"status": found})
