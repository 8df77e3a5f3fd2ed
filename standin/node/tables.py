"""
What kubectl prints: the API server makes the columns (meta.k8s.io/v1 Table).

Source: kubernetes.io, "Receiving resources as Tables"; the columns are those of kubectl's output.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from .common import Obj, moment
from .resources import Resource

NONE = "<none>"
Row = Callable[[Obj], list[Any]]


def long_age(seconds: float) -> str:
    """Return a time as kubectl's AGE has it: `4s`, `2m1s`, `23h`, `364d`."""
    total = max(int(seconds), 0)
    minutes, hours, days = total // 60, total // 3600, total // 86400

    def parts(large: int, unit: str, small: int, small_unit: str) -> str:
        return f"{large}{unit}{small}{small_unit}" if small else f"{large}{unit}"

    if total < 120:
        return f"{total}s"
    if minutes < 10:
        return parts(minutes, "m", total % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return parts(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return parts(days, "d", hours % 24, "h")
    return f"{days}d" if days < 730 else parts(days // 365, "y", days % 365, "d")


def condition(content: Obj, kind: str) -> Obj:
    """Return one of status.conditions, {} when absent."""
    listed = content.get("status", {}).get("conditions") or []
    return next((one for one in listed if one["type"] == kind), {})


def _pairs(chosen: Obj | None) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted((chosen or {}).items())) or NONE


def _node(one: Obj) -> list[Any]:
    ready = condition(one, "Ready").get("status", "")
    shown = "Ready" if ready == "True" else "NotReady" if ready else "Unknown"
    if one.get("spec", {}).get("unschedulable"):
        shown += ",SchedulingDisabled"
    prefix, labels = "node-role.kubernetes.io/", one["metadata"].get("labels", {})
    roles = ",".join(
        sorted(name.removeprefix(prefix) for name in labels if name.startswith(prefix))
    )
    status = one.get("status", {})
    addresses = {each["type"]: each["address"] for each in reversed(status.get("addresses", []))}
    info = status.get("nodeInfo", {})
    more = [info.get(name, "") for name in ("osImage", "kernelVersion", "containerRuntimeVersion")]
    own = [addresses.get("InternalIP", NONE), addresses.get("ExternalIP", NONE)]
    return [shown, roles or NONE, _AGE, info.get("kubeletVersion", ""), *own, *more]


def _pod(one: Obj) -> list[Any]:
    status = one.get("status", {})
    states = status.get("containerStatuses") or []
    shown = status.get("phase", "Unknown")
    for each in states:
        shown = each.get("state", {}).get("waiting", {}).get("reason", shown)
    count = f"{sum(each['ready'] for each in states)}/{len(one['spec'].get('containers', []))}"
    restarts = str(sum(each.get("restartCount", 0) for each in states))
    where = [status.get("podIP", NONE), one["spec"].get("nodeName", NONE), NONE, NONE]
    return [count, shown, restarts, _AGE, *where]


def _daemonset(one: Obj) -> list[Any]:
    status = one.get("status", {})
    names = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady")
    counts = [status.get(each, 0) for each in (*names, "updatedNumberScheduled", "numberAvailable")]
    chosen = one["spec"]["template"]["spec"].get("nodeSelector")
    return [*counts, _pairs(chosen), _AGE]


def _deployment(one: Obj) -> list[Any]:
    status = one.get("status", {})
    count = f"{status.get('readyReplicas', 0)}/{one['spec'].get('replicas', 1)}"
    counts = [status.get(each, 0) for each in ("updatedReplicas", "availableReplicas")]
    return [count, *counts, _AGE]


_AGE = object()  # where a row has the object's age
# The columns after Name; one with * is shown with -o wide alone.
COLUMNS: dict[str, tuple[str, Row]] = {
    "nodes": (
        "Name Status Roles Age Version Internal-IP* External-IP* OS-Image* Kernel-Version* "
        "Container-Runtime*",
        _node,
    ),
    "pods": ("Name Ready Status Restarts Age IP* Node* Nominated_Node* Readiness_Gates*", _pod),
    "daemonsets.apps": (
        "Name Desired Current Ready Up-to-date Available Node_Selector Age",
        _daemonset,
    ),
    "deployments.apps": ("Name Ready Up-to-date Available Age", _deployment),
}
GENERIC: tuple[str, Row] = ("Name Age", lambda _: [_AGE])


def table(resource: Resource, items: list[Obj], revision: str, include: str) -> Obj:
    """
    Return a Table of objects.

    + include: how much of each object goes along: None, Metadata or Object
    """
    names, row = COLUMNS.get(resource.key, GENERIC)
    rows = []
    for one in items:
        meta = one["metadata"]
        age = long_age((datetime.now(UTC) - moment(meta["creationTimestamp"])).total_seconds())
        cells = [meta["name"], *(age if cell is _AGE else cell for cell in row(one))]
        kind = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        carried = one if include == "Object" else kind | {"metadata": meta}
        rows.append({"cells": cells} | ({"object": carried} if include != "None" else {}))
    columns = [
        {
            "name": name.rstrip("*").replace("_", " "),
            "type": "string",
            "format": "name" if name == "Name" else "",
            "description": "",
            "priority": int(name.endswith("*")),
        }
        for name in names.split()
    ]
    about: Obj = {"kind": "Table", "apiVersion": "meta.k8s.io/v1"}
    about |= {"metadata": {"resourceVersion": revision}}
    return about | {"columnDefinitions": columns, "rows": rows}
