"""Nodes and roll-outs: Ready or why not."""

from __future__ import annotations

from typing import Any

import pytest

from formats.node import check_label, nodes, rollout_problem


def node(name: str, status: str = "True", message: str = "") -> dict[str, Any]:
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]},
        "status": {
            "conditions": [
                {"type": "MemoryPressure", "status": "False"},
                {
                    "type": "Ready",
                    "status": status,
                    "message": message,
                    "reason": "KubeletNotReady",
                },
            ]
        },
    }


def daemon_set(desired: int, available: int, updated: int | None = None) -> dict[str, Any]:
    return {
        "kind": "DaemonSet",
        "metadata": {"name": "ds", "generation": 1},
        "status": {
            "observedGeneration": 1,
            "desiredNumberScheduled": desired,
            "numberAvailable": available,
            "updatedNumberScheduled": desired if updated is None else updated,
        },
    }


def deployment(replicas: int, available: int, observed: int = 1) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": "d", "generation": 1},
        "spec": {"replicas": replicas},
        "status": {
            "observedGeneration": observed,
            "availableReplicas": available,
            "updatedReplicas": replicas,
        },
    }


def test_a_node_says_itself_why_it_is_not_ready() -> None:
    why = "container runtime network not ready: cni plugin not initialized"
    found = nodes([node("a"), node("b", "False", why), node("c", "Unknown"), {"kind": "Pod"}])
    assert found["a"].trouble is None
    assert found["b"].trouble == why
    assert found["c"].trouble == "KubeletNotReady"
    assert found["a"].taints == (("a", "NoSchedule"),)
    assert found["a"].labels == {"kubernetes.io/hostname": "a"}


def test_a_node_without_conditions_has_not_reported() -> None:
    bare = {"kind": "Node", "metadata": {"name": "a"}}
    assert nodes([bare])["a"].trouble == "the kubelet has not reported yet"


@pytest.mark.parametrize(
    ("thing", "all_nodes", "down", "trouble"),
    [
        (None, 1, 0, "x does not exist"),
        (daemon_set(2, 2), 2, 0, None),
        (daemon_set(2, 1), 2, 0, "x: 1 of 2 pods are available"),
        # A node that has joined just now: the DaemonSet's controller has not seen it yet.
        (daemon_set(1, 1), 2, 0, "x: 1 of 2 pods are available"),
        # A node without power is not waited for.
        (daemon_set(3, 2), 3, 1, None),
        (daemon_set(2, 2, updated=1), 2, 0, "x: 1 of 2 pods are available"),
        (daemon_set(1, 0), 1, 1, "x: 0 of 1 pods are available"),
        (deployment(2, 2), 3, 0, None),
        (deployment(2, 0), 3, 0, "x: 0 of 2 pods are available"),
        (deployment(2, 2, observed=0), 3, 0, "x is being updated"),
    ],
)
def test_rollouts(
    thing: dict[str, Any] | None, all_nodes: int, down: int, trouble: str | None
) -> None:
    assert rollout_problem(thing, "x", all_nodes, down) == trouble


@pytest.mark.parametrize(
    ("label", "value"),
    [("disk", "ssd"), ("example.org/disk", ""), ("node-role.kubernetes.io/worker", None)],
)
def test_a_label_that_the_api_server_takes(label: str, value: str | None) -> None:
    check_label(label, value)


@pytest.mark.parametrize(
    ("label", "value"),
    [("", "x"), ("my disk", "x"), ("a/b/c", "x"), ("Example.org/disk", ""), ("/disk", ""),
     ("a..b/disk", ""), ("disk", "a b"), ("disk", "x" * 64), ("x" * 64, ""), ("disk", "-x")],
)  # fmt: skip
def test_a_label_that_it_refuses(label: str, value: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        check_label(label, value)
