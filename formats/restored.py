"""Pods and Leases of a restored cluster (API v1, coordination.k8s.io/v1), against its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_LEASES = "kube-node-lease"
_MIRROR = "kubernetes.io/config.mirror"


@dataclass(frozen=True)
class Differences:
    """
    Pods, each ``NAMESPACE/NAME on NODE``.

    + unknown: that a node runs, and the cluster does not know
    + again: that the cluster has for a node, and the node did not run
    """

    unknown: tuple[str, ...]
    again: tuple[str, ...]


def compare(
    objects: Iterable[Mapping[str, Any]], running: Mapping[str, Mapping[str, str]]
) -> Differences:
    """
    Compare the pods of a cluster with those that ran on its nodes.

    + objects: all pods, among others
    + running: of each node, ``{UID: "NAMESPACE/NAME"}``; pods of other nodes are not compared
    """
    known: dict[str, dict[str, str]] = {node: {} for node in running}
    for each in objects:
        node = each.get("spec", {}).get("nodeName") if each["kind"] == "Pod" else None
        metadata = each["metadata"]
        if node in known and _MIRROR not in (metadata.get("annotations") or {}):
            known[node][metadata["uid"]] = f"{metadata['namespace']}/{metadata['name']}"

    def without(
        some: Mapping[str, Mapping[str, str]], others: Mapping[str, Mapping[str, str]]
    ) -> tuple[str, ...]:
        return tuple(
            f"{name} on {node}"
            for node, pods in some.items()
            for uid, name in sorted(pods.items(), key=lambda pod: pod[1])
            if uid not in others[node]
        )

    return Differences(without(running, known), without(known, running))


def reporting(objects: Iterable[Mapping[str, Any]], since: int) -> set[str]:
    """
    Find the nodes whose kubelets have renewed their leases.

    + objects: all leases of nodes, among others
    + since: in seconds since 1970; a status in a backup is older
    """
    return {
        each["metadata"]["name"]
        for each in objects
        if each["kind"] == "Lease" and each["metadata"].get("namespace") == _LEASES
        if datetime.fromisoformat(each["spec"]["renewTime"]).timestamp() > since
    }
