"""
Node, DaemonSet and Deployment objects of the API (v1, apps/v1): how they are, in a line each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from formats.manifests import identity

CONTROL_PLANE_TAINT = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}

# A DNS name, as a label's prefix; a name of 63 characters at most, as its name or value.
_PREFIX = re.compile(
    r"(?=.{1,253}/)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/"
)
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Node:
    """A node as the cluster sees it; ``trouble`` is None when it is Ready."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[tuple[str, str], ...]
    trouble: str | None


# What the kubelet writes again at its next start, and what kubeadm finds control planes by.
KEPT_LABELS = frozenset(
    {"node-role.kubernetes.io/control-plane"}
    | {f"kubernetes.io/{name}" for name in ("arch", "hostname", "os")}
    | {f"beta.kubernetes.io/{name}" for name in ("arch", "os")}
)


def check_label(label: str, value: str | None) -> None:
    """
    ``ValueError`` for what the API server would not take for a label of a node.

    + value: None: the label goes

    https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
    """
    if label in KEPT_LABELS:
        raise ValueError(f"{label!r} is kept by Kubernetes itself: remove it")
    prefix = _PREFIX.match(label)
    if not _NAME.fullmatch(label[prefix.end() :] if prefix else label):
        raise ValueError(f'{label!r} is not a label such as "example.org/disk" or "disk"')
    if value and not _NAME.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a value of a label ({label}): letters, digits, -, _ and . inside,"
            " 63 at most"
        )


def nodes(objects: Iterable[Mapping[str, Any]]) -> dict[str, Node]:
    """The nodes among these objects, by name."""
    return {thing["metadata"]["name"]: _node(thing) for thing in objects if thing["kind"] == "Node"}


def rollout_trouble(
    thing: Mapping[str, Any] | None, name: str, all_nodes: int, down: int
) -> str | None:
    """
    Why a DaemonSet's or Deployment's pods are not all there; None when they are.

    + thing: the object; None: it is not there
    + name: what to call it
    + all_nodes: how many nodes the cluster has: a DaemonSet counts a new node late
    + down: how many of them are not Ready: their pods are not waited for
    """

    if thing is None:
        return f"{name} is not there"
    status, spec = thing.get("status", {}), thing.get("spec", {})
    if status.get("observedGeneration", 0) < thing["metadata"].get("generation", 0):
        return f"{name} has changed just now"
    if thing["kind"] == "DaemonSet":
        wanted = max(status.get("desiredNumberScheduled", 0), all_nodes)
        updated = status.get("updatedNumberScheduled", 0)
        available = min(status.get("numberAvailable", 0), updated)
    else:
        wanted = spec.get("replicas", 1)
        available = min(status.get("availableReplicas", 0), status.get("updatedReplicas", 0))
    if available >= max(wanted - down, 1):
        return None
    return f"{name}: {available} of {wanted} pods are up"


def find(objects: Iterable[Mapping[str, Any]], word: str) -> Mapping[str, Any] | None:
    """The object called ``NAMESPACE/KIND/NAME``."""
    return next((thing for thing in objects if "/".join(identity(thing)) == word), None)


def _node(thing: Mapping[str, Any]) -> Node:
    spec = thing.get("spec", {})
    return Node(
        thing["metadata"]["name"],
        dict(thing["metadata"].get("labels") or {}),
        tuple((taint["key"], taint["effect"]) for taint in spec.get("taints") or ()),
        _trouble(thing.get("status", {}).get("conditions") or ()),
    )


def _trouble(conditions: Iterable[Mapping[str, Any]]) -> str | None:
    for condition in conditions:
        if condition["type"] == "Ready":
            if condition["status"] == "True":
                return None
            message = condition.get("message") or condition.get("reason") or "no reason given"
            return str(message)
    return "its kubelet has not reported yet"
