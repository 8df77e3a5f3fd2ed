"""Status of Node, DaemonSet and Deployment objects (API v1, apps/v1), in a line each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from formats.manifests import identity
from messages.settings import INVALID, NOT_ALLOWED

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
CONTROL_PLANE_TAINT = {"key": CONTROL_PLANE_LABEL, "effect": "NoSchedule"}

# A DNS name, as a label's prefix; a name of 63 characters at most, as its name or value.
_PREFIX = re.compile(
    r"(?=.{1,253}/)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/"
)
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Node:
    """
    A node.

    + trouble: why it is not Ready; None when it is
    + machine, address: the machine-id and the address that its kubelet has reported
    """

    name: str
    labels: Mapping[str, str]
    taints: tuple[tuple[str, str], ...]
    trouble: str | None
    machine: str = ""
    address: str = ""


# Labels that the kubelet sets at each start, or by which kubeadm finds control planes.
KEPT_LABELS = frozenset(
    {CONTROL_PLANE_LABEL}
    | {f"kubernetes.io/{name}" for name in ("arch", "hostname", "os")}
    | {f"beta.kubernetes.io/{name}" for name in ("arch", "os")}
)


def check_label(label: str, value: str | None) -> None:
    """
    Check a node's label as the API server does.

    + value: None: the label is removed
    + raises ``ValueError``

    https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
    """
    if label in KEPT_LABELS:
        raise ValueError(
            NOT_ALLOWED(
                value=repr(label),
                reason="Kubernetes sets this label itself",
                instead="another label",
            )
        )
    prefix = _PREFIX.match(label)
    if not _NAME.fullmatch(label[prefix.end() :] if prefix else label):
        near = "one such as example.org/disk"
        raise ValueError(INVALID(value=repr(label), kind="a label", instead=near))
    if value and not _NAME.fullmatch(value):
        kind = f"a value of the label {label} (letters, digits, and -, _, . inside, at most 63)"
        raise ValueError(INVALID(value=repr(value), kind=kind, instead="one such as ssd"))


def nodes(objects: Iterable[Mapping[str, Any]]) -> dict[str, Node]:
    """Read the nodes among these objects, by name."""
    return {
        resource["metadata"]["name"]: _node(resource)
        for resource in objects
        if resource["kind"] == "Node"
    }


def rollout_problem(
    resource: Mapping[str, Any] | None, name: str, all_nodes: int, down: int
) -> str | None:
    """
    Tell why a DaemonSet's or Deployment's pods are not all available; None when they are.

    + resource: the object; None: it does not exist
    + name: its name in the text
    + all_nodes: the number of nodes: a DaemonSet counts a new node late
    + down: how many of them are not Ready: their pods are not waited for
    """
    if resource is None:
        return f"{name} does not exist"
    status, spec = resource.get("status", {}), resource.get("spec", {})
    if status.get("observedGeneration", 0) < resource["metadata"].get("generation", 0):
        return f"{name} is being updated"
    if resource["kind"] == "DaemonSet":
        desired = max(status.get("desiredNumberScheduled", 0), all_nodes)
        updated = status.get("updatedNumberScheduled", 0)
        available = min(status.get("numberAvailable", 0), updated)
    else:
        desired = spec.get("replicas", 1)
        available = min(status.get("availableReplicas", 0), status.get("updatedReplicas", 0))
    if available >= max(desired - down, 1):
        return None
    return f"{name}: {available} of {desired} pods are available"


def find(objects: Iterable[Mapping[str, Any]], word: str) -> Mapping[str, Any] | None:
    """Find the object ``NAMESPACE/KIND/NAME``."""
    return next((resource for resource in objects if "/".join(identity(resource)) == word), None)


def _node(resource: Mapping[str, Any]) -> Node:
    spec, status = resource.get("spec", {}), resource.get("status", {})
    addresses = {each["type"]: each["address"] for each in status.get("addresses") or ()}
    return Node(
        resource["metadata"]["name"],
        dict(resource["metadata"].get("labels") or {}),
        tuple((taint["key"], taint["effect"]) for taint in spec.get("taints") or ()),
        _not_ready_reason(status.get("conditions") or ()),
        status.get("nodeInfo", {}).get("machineID", ""),
        addresses.get("InternalIP", ""),
    )


def _not_ready_reason(conditions: Iterable[Mapping[str, Any]]) -> str | None:
    for condition in conditions:
        if condition["type"] == "Ready":
            if condition["status"] == "True":
                return None
            message = condition.get("message") or condition.get("reason") or "no reason given"
            return str(message)
    return "the kubelet has not reported yet"
