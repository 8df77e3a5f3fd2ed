"""The defaults of new objects that controllers, tables and kubectl rely on."""

from __future__ import annotations

import base64
import copy

from .common import Obj
from .resources import Resource


def defaults(resource: Resource, content: Obj) -> None:
    """The defaults that controllers, tables and kubectl rely on."""
    spec = content.get("spec")
    if "status" in resource.sub and resource.group == "apps":
        content["metadata"]["generation"] = 1
    if resource.kind == "Namespace":
        content["status"] = {"phase": "Active"}
        content.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
        content["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = content[
            "metadata"
        ]["name"]
    elif resource.kind == "Pod" and spec is not None:
        content["status"] = {"phase": "Pending"}
    elif resource.kind == "Secret":
        content.setdefault("type", "Opaque")
        plain = content.pop("stringData", None)
        if plain:
            content["data"] = (content.get("data") or {}) | {
                name: base64.b64encode(str(value).encode()).decode()
                for name, value in plain.items()
            }
    elif resource.kind in ("Deployment", "ReplicaSet", "StatefulSet") and spec is not None:
        spec.setdefault("replicas", 1)
        if resource.kind == "Deployment":
            spec.setdefault(
                "strategy",
                {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
                },
            )
            spec.setdefault("progressDeadlineSeconds", 600)
    elif resource.kind == "DaemonSet" and spec is not None:
        spec.setdefault(
            "updateStrategy",
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        )
    elif resource.kind == "Service" and spec is not None:
        spec.setdefault("type", "ClusterIP")
        if not spec.get("clusterIP"):
            digest = sum(content["metadata"]["name"].encode()) * 7
            spec["clusterIP"] = f"10.{96 + digest % 16}.{digest // 16 % 256}.{digest % 251 + 2}"


# What a client cannot change.
FIXED = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "resourceVersion",
    "generation",
    "deletionTimestamp",
)


def kept(resource: Resource, sub: str, old: Obj, new: Obj) -> Obj:
    """
    The object to store for a changed one: identity as before, the status through its own door only.

    + sub: the subresource written to, or ""
    """
    new = copy.deepcopy(new)
    meta, before = new.setdefault("metadata", {}), old["metadata"]
    meta |= {name: before[name] for name in FIXED if name in before}
    new |= {"apiVersion": resource.api_version, "kind": resource.kind}
    if sub in ("status", "approval"):
        described = {name: meta[name] for name in ("labels", "annotations") if name in meta}
        new = old | {"metadata": before | described, "status": new.get("status", {})}
    elif "status" in resource.sub:
        new.pop("status", None)
        new |= {"status": old["status"]} if "status" in old else {}
        if new.get("spec") != old.get("spec") and "generation" in before:
            meta["generation"] = before["generation"] + 1
    for name in ("labels", "annotations", "finalizers"):
        if name in new["metadata"] and not new["metadata"][name]:
            del new["metadata"][name]
    return new
