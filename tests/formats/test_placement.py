"""Which pods find no other node."""

from __future__ import annotations

from typing import Any

import pytest

from formats.placement import unplaced
from tests.formats.test_pods import pod


def node(name: str, memory: str = "1Gi", ready: str = "True", **more: Any) -> Any:
    metadata = {"name": name, "labels": {"disk": "ssd", "kubernetes.io/hostname": name}}
    status = {
        "allocatable": {"memory": memory},
        "conditions": [{"type": "Ready", "status": ready, "message": "silent"}],
    }
    return {"kind": "Node", "metadata": metadata, "spec": more, "status": status}


def asking(memory: str) -> dict[str, Any]:
    return {"containers": [{"resources": {"requests": {"memory": memory}}}]}


HERE = node("node3")
TAINT = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}


def affine(operator: str, *values: str) -> dict[str, Any]:
    term = {"matchExpressions": [{"key": "disk", "operator": operator, "values": list(values)}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"affinity": {"nodeAffinity": required}}


@pytest.mark.parametrize(
    ("other", "spec", "placed"),
    [
        (node("node2"), {}, True),
        (node("node2", ready="Unknown"), {}, False),
        (node("node2", unschedulable=True), {}, False),
        (node("node1", taints=[TAINT]), {}, False),
        (node("node1", taints=[TAINT]), {"tolerations": [{"operator": "Exists"}]}, True),
        (node("node1", taints=[TAINT]), {"tolerations": [TAINT]}, True),
        (node("node1", taints=[TAINT | {"effect": "PreferNoSchedule"}]), {}, True),
        (node("node2"), {"nodeSelector": {"disk": "ssd"}}, True),
        (node("node2"), {"nodeSelector": {"kubernetes.io/hostname": "node3"}}, False),
        (node("node2"), affine("In", "ssd"), True),
        (node("node2"), affine("NotIn", "ssd"), False),
        (node("node2", memory="1024Mi"), asking("1Gi"), True),
        (node("node2", memory="1023Mi"), asking("1Gi"), False),
        (node("node2", memory="999k"), asking("1M"), False),
    ],
)
def test_a_node_takes_a_pod_or_does_not(other: Any, spec: Any, placed: bool) -> None:
    left = [] if placed else ["default/web-1"]
    objects = [HERE, other, pod("web-1", spec=spec)]
    assert unplaced(objects, ["default/web-1"], "node3") == left
    assert unplaced(objects, [], "node3") == []


def test_memory_is_given_away_once() -> None:
    """500 of 1024 MiB are taken already, and the larger pod comes first."""
    objects = [
        node("node3"),
        node("node2"),
        pod("db-1", node="node2", spec=asking("500Mi")),
        pod("old-1", "Job", node="node2", spec=asking("500Mi"), phase="Succeeded"),
        pod("web-1", spec=asking("300Mi")),
        pod("web-2", spec=asking("400Mi")),
    ]
    moving = ["default/web-1", "default/web-2"]
    assert unplaced(objects, moving, "node3") == ["default/web-1"]
    assert unplaced(objects, moving) == []
