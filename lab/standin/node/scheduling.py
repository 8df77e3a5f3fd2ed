"""Where pods may go, where they go, and which go away."""

from __future__ import annotations

from typing import Any

from .columns import condition
from .common import Obj, now, stamp
from .resources import BY_KEY
from .store import Store

NODES, PODS = BY_KEY["nodes"], BY_KEY["pods"]
DAEMONSETS, DEPLOYMENTS, REPLICASETS = (
    BY_KEY[f"{one}.apps"] for one in ("daemonsets", "deployments", "replicasets")
)
OWNERS = {
    "DaemonSet": DAEMONSETS,
    "Deployment": DEPLOYMENTS,
    "ReplicaSet": REPLICASETS,
    "Node": NODES,
}
# Taints that every pod of a DaemonSet tolerates.
DAEMON = (
    "not-ready",
    "unreachable",
    "disk-pressure",
    "memory-pressure",
    "pid-pressure",
    "unschedulable",
    "network-unavailable",
)


def tolerates(spec: Obj, node: Obj) -> bool:
    """Whether a pod may be put on a node."""
    for taint in node.get("spec", {}).get("taints") or []:
        if taint["effect"] == "PreferNoSchedule":
            continue
        if not any(_tolerated(one, taint) for one in spec.get("tolerations") or []):
            return False
    return True


def _tolerated(toleration: Obj, taint: Obj) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return bool(toleration.get("key") == taint["key"]) and toleration.get("value", "") == taint.get(
        "value", ""
    )


def selected(spec: Obj, node: Obj) -> bool:
    """Whether nodeSelector fits."""
    labels = node["metadata"].get("labels", {})
    return all(
        labels.get(name) == value for name, value in (spec.get("nodeSelector") or {}).items()
    )


def ready(pod: Obj) -> bool:
    """Whether a pod is Ready."""
    return bool(condition(pod, "Ready").get("status") == "True")


def schedule(store: Store, nodes: list[Obj]) -> None:
    """Give each pod that has none a node; the one with the fewest pods of those that fit."""
    pods = store.listed(PODS)[0]
    for pod in pods:
        if pod["spec"].get("nodeName"):
            continue
        fitting = [
            node
            for node in nodes
            if condition(node, "Ready").get("status") == "True"
            and selected(pod["spec"], node)
            and tolerates(pod["spec"], node)
        ]
        if not fitting:
            continue
        load: Any = {node["metadata"]["name"]: 0 for node in fitting}
        for other in pods:
            if other["spec"].get("nodeName") in load:
                load[other["spec"]["nodeName"]] += 1
        pod["spec"]["nodeName"] = min(load, key=load.get)
        store.update(PODS, pod)


def collect(store: Store, nodes: list[Obj]) -> None:
    """
    Remove pods and ReplicaSets whose owner is gone, pods of nodes that are gone or have been silent
    long.
    """
    known = {node["metadata"]["name"]: node for node in nodes}
    for resource in (REPLICASETS, PODS):
        for one in store.listed(resource)[0]:
            meta = one["metadata"]
            gone = False
            for reference in meta.get("ownerReferences", []):
                kind = OWNERS.get(reference["kind"])
                if kind is None:
                    continue
                namespace = meta["namespace"] if kind.namespaced else ""
                owner = store.get(kind, namespace, reference["name"])
                gone |= owner is None or owner["metadata"]["uid"] != reference["uid"]
            where = one["spec"].get("nodeName") if resource is PODS else None
            if gone or (where and where not in known):
                store.delete(resource, meta["namespace"], meta["name"])
            elif (
                where
                and resource is PODS
                and condition(known[where], "Ready").get("status") == "Unknown"
                and ready(one)
            ):
                _silence(store, one)


def _silence(store: Store, pod: Obj) -> None:
    for entry in pod["status"]["conditions"]:
        if entry["type"] in ("Ready", "ContainersReady"):
            entry |= {"status": "False", "lastTransitionTime": stamp(now())}
    store.update(PODS, pod)
