"""
What kubectl prints: the API server makes the tables (meta.k8s.io/v1 Table, templates/columns.yaml).

Source: kubernetes.io, "Receiving resources as Tables"; the columns are those of kubectl's output.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from .common import Obj, condition, lookup, moment, template
from .resources import Resource

COLUMNS = template("columns")[0]
NONE = "<none>"
ROLE = "node-role.kubernetes.io/"


def age(seconds: float) -> str:
    """Return a time as kubectl's AGE has it, in one unit: `119s`, `2m`, `25h`, `364d`."""
    for length, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(int(seconds), 0)}s"


def _of_node(one: Obj) -> Obj:
    ready = condition(one, "Ready").get("status", "")
    shown = "Ready" if ready == "True" else "NotReady" if ready else "Unknown"
    shown += ",SchedulingDisabled" if one.get("spec", {}).get("unschedulable") else ""
    labels = one["metadata"].get("labels", {})
    roles = sorted(name.removeprefix(ROLE) for name in labels if name.startswith(ROLE))
    addresses = {each["type"]: each for each in reversed(lookup(one, "status.addresses") or [])}
    internal = addresses.get("InternalIP", {}).get("address", NONE)
    return {"state": shown, "roles": ",".join(roles) or NONE, "address": internal}


def _of_pod(one: Obj) -> Obj:
    states = lookup(one, "status.containerStatuses") or []
    shown = lookup(one, "status.phase") or "Unknown"
    for each in states:
        shown = each.get("state", {}).get("waiting", {}).get("reason", shown)
    shown = "Terminating" if "deletionTimestamp" in one["metadata"] else shown
    count = f"{sum(each['ready'] for each in states)}/{len(one['spec'].get('containers', []))}"
    return {"state": shown, "ready": count, "restarts": "0"}


COMPUTED = {"nodes": _of_node, "pods": _of_pod}


def _cell(one: Obj, form: str) -> str:
    """Fill in a column's form: `{status.phase}`, with what stands for nothing, `{a.b|0}`."""

    def filled(match: re.Match[str]) -> str:
        value = lookup(one, match[1])
        if isinstance(value, dict):
            value = ",".join(f"{name}={each}" for name, each in sorted(value.items()))
        return str(match[2] or NONE) if value in (None, "") else str(value)

    return re.sub(r"{([\w.]+)(?:\|([^}]*))?}", filled, form)


def table(resource: Resource, items: list[Obj], revision: str, include: str) -> Obj:
    """Return a Table; include: how much of each object goes along: None, Metadata or Object."""
    columns: Obj = COLUMNS.get(resource.key) or COLUMNS["other"]
    rows = []
    for one in items:
        meta = one["metadata"]
        since = (datetime.now(UTC) - moment(meta["creationTimestamp"])).total_seconds()
        own = one | COMPUTED.get(resource.key, lambda _: {})(one) | {"age": age(since)}
        kind = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        carried = one if include == "Object" else kind | {"metadata": meta}
        cells = [_cell(own, form) for form in columns.values()]
        rows.append({"cells": cells} | ({"object": carried} if include != "None" else {}))
    about: Obj = {"kind": "Table", "apiVersion": "meta.k8s.io/v1"}
    about |= {"metadata": {"resourceVersion": revision}, "rows": rows}
    shown = []
    for name in columns:
        own = {"name": name.rstrip("*"), "format": "name" if name == "Name" else ""}
        own |= {"type": "string", "description": "", "priority": int(name.endswith("*"))}
        shown.append(own)
    return about | {"columnDefinitions": shown}
