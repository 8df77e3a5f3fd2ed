"""
What kubectl prints: the API server itself makes the columns (meta.k8s.io/v1 Table).

Source: kubernetes.io, "Receiving resources as Tables"; the columns are kubectl's own for each kind.
"""

from __future__ import annotations

from .columns import GENERIC, TABLES
from .common import Obj
from .resources import Resource


def table(
    resource: Resource,
    items: list[Obj],
    revision: str,
    include: str = "Metadata",
    headers: bool = True,
) -> Obj:
    """
    A Table of objects.

    + include: how much of each object goes along: None, Metadata or Object
    """
    columns, row = TABLES.get(resource.key, GENERIC)
    rows = []
    for one in items:
        carried = None
        if include != "None":
            partial = {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": one["metadata"],
            }
            carried = one if include == "Object" else partial
        rows.append({"cells": row(one), "object": carried} if carried else {"cells": row(one)})
    definitions = [
        {
            "name": name,
            "type": "string",
            "format": "name" if name == "Name" else "",
            "description": "",
            "priority": int(wide),
        }
        for name, wide in columns
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": revision},
        "columnDefinitions": definitions if headers else None,
        "rows": rows,
    }
