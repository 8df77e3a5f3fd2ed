"""Pods and PodDisruptionBudgets as plain data (API v1, policy/v1): what a drain does with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# Of a node that bramble has cordoned: which deploy did, and since when. A cordon without it is
# somebody else's.
CORDON = "bramble/cordon"
# Of a node that an interrupted run was to work on because a person asked for it: which deploy, and
# the node's state then.
PENDING = "bramble/pending"

Resource = Mapping[str, Any]


@dataclass(frozen=True)
class Leaving:
    """
    Pods that a drain evicts from a node, each ``NAMESPACE/NAME``.

    + pods: all of them
    + bare: those that no controller makes again elsewhere
    + local: those whose local data (emptyDir) is deleted with them
    + held: those that a budget lets nobody evict now, with the budget's name
    + stuck: those of them whose budget can't be met: it asks for as many pods as there are
    """

    pods: tuple[str, ...]
    bare: tuple[str, ...]
    local: tuple[str, ...]
    held: Mapping[str, str]
    stuck: Mapping[str, str]


def leaving(objects: Iterable[Resource], node: str) -> Leaving:
    """
    Find the pods that a drain of a node evicts: not those of DaemonSets, not static ones.

    + objects: all pods and budgets, among others
    """
    objects = list(objects)
    pods = {name_of(pod): pod for pod in objects if _is_evicted(pod, node)}
    budgets = [each for each in objects if each["kind"] == "PodDisruptionBudget"]
    held, stuck = {}, {}
    for name, pod in pods.items():
        for budget in budgets:
            status = budget.get("status") or {}
            if not _selects(budget, pod) or status.get("disruptionsAllowed", 1) > 0:
                continue
            held[name] = budget["metadata"]["name"]
            if status.get("desiredHealthy", 0) >= status.get("expectedPods", 0):
                stuck[name] = budget["metadata"]["name"]
    return Leaving(
        tuple(pods),
        tuple(name for name, pod in pods.items() if not _controller(pod)),
        tuple(name for name, pod in pods.items() if _has_local_data(pod)),
        held,
        stuck,
    )


def cordon(resource: Resource) -> tuple[bool, str]:
    """Return whether a node is cordoned, and bramble's note on that; "" for another's cordon."""
    annotations = (resource.get("metadata") or {}).get("annotations") or {}
    unschedulable = bool((resource.get("spec") or {}).get("unschedulable"))
    return unschedulable, str(annotations.get(CORDON, "")) if unschedulable else ""


def unready(objects: Iterable[Resource]) -> dict[str, str]:
    """
    Find the pods that are neither Ready nor finished nor about to end.

    + returns: for the name of each, the uid of its controller; "" without one
    """
    return {
        name_of(each): _uid(each)
        for each in objects
        if each["kind"] == "Pod" and not _is_ready(each) and not _is_over(each)
    }


def containers(objects: Iterable[Resource]) -> set[str]:
    """Return the ids of the containers of pods that run."""
    return {
        str(each["containerID"])
        for resource in objects
        if resource["kind"] == "Pod"
        for each in (resource.get("status") or {}).get("containerStatuses") or ()
        if each.get("containerID") and "running" in (each.get("state") or {})
    }


def unscheduled(objects: Iterable[Resource]) -> set[str]:
    """Return the names of the pods that are on no node yet."""
    return {
        name_of(each)
        for each in objects
        if each["kind"] == "Pod" and not (each.get("spec") or {}).get("nodeName")
    }


def gathered(objects: Iterable[Resource], node: str) -> dict[str, str]:
    """
    Find the controllers whose Ready pods, several of them, are all on one node.

    + returns: for the uid of each, the name of one of its pods there
    """
    found: dict[str, list[Resource]] = {}
    for each in _serving(objects):
        found.setdefault(_uid(each), []).append(each)
    return {
        uid: name_of(pods[0])
        for uid, pods in found.items()
        if uid and len(pods) > 1 and all(_is_evicted(pod, node) for pod in pods)
    }


def ready_elsewhere(objects: Iterable[Resource], node: str) -> set[str]:
    """Return the uids of controllers that have a Ready pod on another node than this one."""
    elsewhere = (each for each in _serving(objects) if not is_on(each, node))
    return {_uid(each) for each in elsewhere}


def _serving(objects: Iterable[Resource]) -> list[Resource]:
    return [
        each for each in objects if each["kind"] == "Pod" and _is_ready(each) and not _is_over(each)
    ]


def _controller(pod: Resource) -> Mapping[str, Any]:
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((each for each in owners if each.get("controller")), {})


def _uid(pod: Resource) -> str:
    return str(_controller(pod).get("uid", ""))


def is_on(pod: Resource, node: str) -> bool:
    """Tell whether a pod is on a node."""
    return (pod.get("spec") or {}).get("nodeName") == node


def has_finished(pod: Resource) -> bool:
    """Tell whether all containers of a pod have ended, and are not started again."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _is_ready(pod: Resource) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _is_over(pod: Resource) -> bool:
    return has_finished(pod) or "deletionTimestamp" in pod["metadata"]


def _is_evicted(resource: Resource, node: str) -> bool:
    if resource["kind"] != "Pod" or not is_on(resource, node):
        return False
    static = "kubernetes.io/config.mirror" in (resource["metadata"].get("annotations") or {})
    of_daemon_set = _controller(resource).get("kind") == "DaemonSet"
    return not has_finished(resource) and not static and not of_daemon_set


def _has_local_data(pod: Resource) -> bool:
    return any("emptyDir" in volume for volume in (pod.get("spec") or {}).get("volumes") or ())


def _selects(budget: Resource, pod: Resource) -> bool:
    """Tell whether a budget is for a pod, by the labels that its selector names."""
    if budget["metadata"].get("namespace") != pod["metadata"].get("namespace"):
        return False
    selector = (budget.get("spec") or {}).get("selector") or {}
    labels = pod["metadata"].get("labels") or {}
    return all(holds(each, labels) for each in selector.get("matchExpressions") or ()) and (
        (selector.get("matchLabels") or {}).items() <= labels.items()
    )


def holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Tell whether labels fulfil one of ``matchExpressions``."""
    value, values = labels.get(expression["key"]), expression.get("values") or ()
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }.get(expression["operator"], True)


def name_of(resource: Resource) -> str:
    """Return the name of a resource, ``NAMESPACE/NAME``."""
    return f"{resource['metadata'].get('namespace', '')}/{resource['metadata']['name']}"
