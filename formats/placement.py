"""Where the scheduler could put pods that leave a node: by taints, node selectors and memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

from formats import quantity
from formats.node import nodes
from formats.pods import Resource, cordon, has_finished, holds, is_on, name_of

_NODE_CONDITIONS = "node.kubernetes.io/"  # taints that come and go with a node's state


def unplaced(objects: Iterable[Resource], names: Collection[str], without: str = "") -> list[str]:
    """
    Return those of some pods that no node takes.

    Affinity between pods, ports and volumes are not considered.

    + objects: all nodes and pods, among others
    + names: of the pods, each ``NAMESPACE/NAME``
    + without: a node that does not count
    """
    objects = list(objects)
    pods = [each for each in objects if each["kind"] == "Pod"]
    others = _open(objects, without)
    free = {
        name: _memory((resource.get("status") or {}).get("allocatable"))
        - sum(_request(pod) for pod in pods if is_on(pod, name) and not has_finished(pod))
        for name, resource in others.items()
    }
    left = []
    for pod in sorted((each for each in pods if name_of(each) in names), key=_request)[::-1]:
        asked = _request(pod)
        fitting = [name for name in free if _takes(others[name], pod) and free[name] >= asked]
        if fitting:
            free[max(fitting, key=lambda name: free[name])] -= asked
        else:
            left.append(name_of(pod))
    return sorted(left)


def _open(objects: Iterable[Resource], without: str) -> dict[str, Resource]:
    """Return the nodes that are Ready and not cordoned."""
    found = {each["metadata"]["name"]: each for each in objects if each["kind"] == "Node"}
    ready = {name for name, each in nodes(found.values()).items() if not each.trouble}
    return {
        name: each
        for name, each in found.items()
        if name != without and name in ready and not cordon(each)[0]
    }


def _takes(node: Resource, pod: Resource) -> bool:
    spec = pod.get("spec") or {}
    labels = node["metadata"].get("labels") or {}
    taints = [
        taint
        for taint in (node.get("spec") or {}).get("taints") or ()
        if taint["effect"] != "PreferNoSchedule" and not taint["key"].startswith(_NODE_CONDITIONS)
    ]
    tolerations = spec.get("tolerations") or ()
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    terms = (affinity or {}).get("nodeSelectorTerms")
    return (
        (spec.get("nodeSelector") or {}).items() <= labels.items()
        and all(any(_tolerates(each, taint) for each in tolerations) for taint in taints)
        and (
            terms is None
            or any(
                all(holds(each, labels) for each in term.get("matchExpressions") or ())
                for term in terms
            )
        )
    )


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return (toleration.get("key"), toleration.get("value", "")) == (
        taint["key"],
        taint.get("value", ""),
    )


def _request(pod: Resource) -> Decimal:
    """Return the memory that a pod asks for, in bytes."""
    spec = pod.get("spec") or {}
    running, first = (
        [_memory((each.get("resources") or {}).get("requests")) for each in spec.get(name) or ()]
        for name in ("containers", "initContainers")
    )
    return max([sum(running, Decimal(0)), *first])


def _memory(resources: Mapping[str, Any] | None) -> Decimal:
    return quantity.parse((resources or {}).get("memory")) or Decimal(0)
