"""
The columns of each kind, as kubectl has them.

Source: kubectl's own printers, as seen in its output.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from .common import Obj, moment

NONE = "<none>"


# (name, only with -o wide)
Column = tuple[str, bool]


Row = Callable[[Obj], list[Any]]


def long_human(seconds: float) -> str:
    """kubectl's AGE: `4s`, `2m1s`, `23h`, `364d` (apimachinery's duration.HumanDuration)."""
    total = int(seconds)
    if total < 0:
        return "0s" if total >= -1 else "<invalid>"
    minutes, hours, days = total // 60, total // 3600, total // 86400
    if total < 120:
        return f"{total}s"
    if minutes < 10:
        return f"{minutes}m{total % 60}s" if total % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    years = days // 365
    return f"{years}y{days % 365}d" if years < 8 and days % 365 else f"{years}y"


def age(content: Obj) -> str:
    """How old an object is."""
    created = content["metadata"].get("creationTimestamp")
    return (
        long_human((datetime.now(UTC) - moment(created)).total_seconds())
        if created
        else "<unknown>"
    )


def condition(content: Obj, kind: str) -> Obj:
    """One of status.conditions, {} when absent."""
    listed = content.get("status", {}).get("conditions") or []
    return next((one for one in listed if one["type"] == kind), {})


def _selector(content: Obj) -> str:
    chosen = content.get("spec", {}).get("selector") or {}
    return (
        ",".join(
            f"{name}={value}" for name, value in sorted(chosen.get("matchLabels", chosen).items())
        )
        or NONE
    )


def _containers(content: Obj) -> list[Any]:
    listed = content["spec"]["template"]["spec"].get("containers", [])
    return [
        ",".join(one["name"] for one in listed),
        ",".join(one.get("image", "") for one in listed),
        _selector(content),
    ]


def _node(node: Obj) -> list[Any]:
    status = node.get("status", {})
    ready = condition(node, "Ready").get("status")
    shown = {"True": "Ready", "False": "NotReady"}.get(
        ready or "", "NotReady" if ready else "Unknown"
    )
    if node.get("spec", {}).get("unschedulable"):
        shown += ",SchedulingDisabled"
    prefix = "node-role.kubernetes.io/"
    roles = sorted(
        name.removeprefix(prefix)
        for name in node["metadata"].get("labels", {})
        if name.startswith(prefix)
    )
    addresses = {one["type"]: one["address"] for one in reversed(status.get("addresses", []))}
    info = status.get("nodeInfo", {})
    return [
        node["metadata"]["name"],
        shown,
        ",".join(roles) or NONE,
        age(node),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", NONE),
        addresses.get("ExternalIP", NONE),
        info.get("osImage", "<unknown>"),
        info.get("kernelVersion", "<unknown>"),
        info.get("containerRuntimeVersion", "<unknown>"),
    ]


def _pod(pod: Obj) -> list[Any]:
    status = pod.get("status", {})
    states = status.get("containerStatuses") or []
    shown = status.get("reason") or status.get("phase", "Unknown")
    for one in states:
        waiting = one.get("state", {}).get("waiting")
        shown = waiting.get("reason", shown) if waiting else shown
    if pod["metadata"].get("deletionTimestamp"):
        shown = "Terminating"
    return [
        pod["metadata"]["name"],
        f"{sum(bool(one.get('ready')) for one in states)}/{len(pod['spec'].get('containers', []))}",
        shown,
        str(sum(one.get("restartCount", 0) for one in states)),
        age(pod),
        status.get("podIP", NONE),
        pod["spec"].get("nodeName", NONE),
        NONE,
        NONE,
    ]


def _daemonset(one: Obj) -> list[Any]:
    status = one.get("status", {})
    chosen = one["spec"]["template"]["spec"].get("nodeSelector") or {}
    counts = [
        status.get(name, 0)
        for name in (
            "desiredNumberScheduled",
            "currentNumberScheduled",
            "numberReady",
            "updatedNumberScheduled",
            "numberAvailable",
        )
    ]
    picked = ",".join(f"{name}={value}" for name, value in sorted(chosen.items())) or NONE
    return [one["metadata"]["name"], *counts, picked, age(one), *_containers(one)]


def _deployment(one: Obj) -> list[Any]:
    status = one.get("status", {})
    ready = f"{status.get('readyReplicas', 0)}/{one['spec'].get('replicas', 1)}"
    return [
        one["metadata"]["name"],
        ready,
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age(one),
        *_containers(one),
    ]


def _replicaset(one: Obj) -> list[Any]:
    status = one.get("status", {})
    return [
        one["metadata"]["name"],
        one["spec"].get("replicas", 1),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age(one),
        *_containers(one),
    ]


def _service(one: Obj) -> list[Any]:
    spec = one["spec"]
    ports = ",".join(
        f"{port['port']}/{port.get('protocol', 'TCP')}" for port in spec.get("ports", [])
    )
    return [
        one["metadata"]["name"],
        spec.get("type", "ClusterIP"),
        spec.get("clusterIP", NONE),
        NONE,
        ports or NONE,
        age(one),
        _selector(one),
    ]


def _csr(one: Obj) -> list[Any]:
    spec, status = one["spec"], one.get("status", {})
    shown = ",".join(entry["type"] for entry in status.get("conditions", [])) or "Pending"
    return [
        one["metadata"]["name"],
        age(one),
        spec["signerName"],
        spec.get("username", ""),
        NONE,
        shown + (",Issued" if status.get("certificate") else ""),
    ]


def _event(one: Obj) -> list[Any]:
    target = one.get("involvedObject", {})
    return [
        age(one),
        one.get("type", ""),
        one.get("reason", ""),
        f"{target.get('kind', '').lower()}/{target.get('name', '')}",
        one.get("message", ""),
    ]


def _columns(text: str) -> list[Column]:
    return [(name.removesuffix("*").replace("_", " "), name.endswith("*")) for name in text.split()]


_WIDE = "Containers* Images* Selector*"


TABLES: dict[str, tuple[list[Column], Row]] = {
    "nodes": (
        _columns(
            "Name Status Roles Age Version Internal-IP* External-IP* OS-Image* Kernel-Version* Container-Runtime*"
        ),
        _node,
    ),
    "pods": (
        _columns("Name Ready Status Restarts Age IP* Node* Nominated_Node* Readiness_Gates*"),
        _pod,
    ),
    "daemonsets.apps": (
        _columns(f"Name Desired Current Ready Up-to-date Available Node_Selector Age {_WIDE}"),
        _daemonset,
    ),
    "deployments.apps": (_columns(f"Name Ready Up-to-date Available Age {_WIDE}"), _deployment),
    "replicasets.apps": (_columns(f"Name Desired Current Ready Age {_WIDE}"), _replicaset),
    "services": (_columns("Name Type Cluster-IP External-IP Port(s) Age Selector*"), _service),
    "certificatesigningrequests.certificates.k8s.io": (
        _columns("Name Age SignerName Requestor RequestedDuration Condition"),
        _csr,
    ),
    "events": (_columns("Last_Seen Type Reason Object Message"), _event),
    "configmaps": (
        _columns("Name Data Age"),
        lambda one: [one["metadata"]["name"], len(one.get("data") or {}), age(one)],
    ),
    "secrets": (
        _columns("Name Type Data Age"),
        lambda one: [
            one["metadata"]["name"],
            one.get("type", "Opaque"),
            len(one.get("data") or {}),
            age(one),
        ],
    ),
    "namespaces": (
        _columns("Name Status Age"),
        lambda one: [
            one["metadata"]["name"],
            one.get("status", {}).get("phase", "Active"),
            age(one),
        ],
    ),
    "leases.coordination.k8s.io": (
        _columns("Name Holder Age"),
        lambda one: [
            one["metadata"]["name"],
            one.get("spec", {}).get("holderIdentity", ""),
            age(one),
        ],
    ),
}


GENERIC: tuple[list[Column], Row] = (
    _columns("Name Age"),
    lambda one: [one["metadata"]["name"], age(one)],
)
