"""What a drain does with the pods of a node."""

from __future__ import annotations

from typing import Any

import pytest

from formats.pods import CORDON, cordon, gathered, leaving, ready_elsewhere, unready


def pod(name: str, owner: str | None = "ReplicaSet", node: str = "node3", **more: Any) -> Any:
    """A pod; owner: the kind of its controller."""
    metadata: dict[str, Any] = {"name": name, "namespace": "default", "labels": {"app": name[:3]}}
    if owner:
        metadata["ownerReferences"] = [{"kind": owner, "name": "x", "controller": True}]
    metadata |= more.pop("metadata", {})
    spec = {"nodeName": node, **more.pop("spec", {})}
    return {"kind": "Pod", "metadata": metadata, "spec": spec, "status": more}


def budget(allowed: int, desired: int, expected: int, **selector: Any) -> Any:
    status = {"disruptionsAllowed": allowed, "desiredHealthy": desired, "expectedPods": expected}
    return {
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "keep", "namespace": "default"},
        "spec": {"selector": selector or {"matchLabels": {"app": "web"}}},
        "status": status,
    }


def test_pods_of_daemonsets_static_and_finished_ones_stay() -> None:
    mirror = {"annotations": {"kubernetes.io/config.mirror": "x"}}
    objects = [
        pod("web-1"),
        pod("flannel-1", "DaemonSet"),
        pod("etcd-node3", "Node", metadata=mirror),
        pod("job-1", "Job", phase="Succeeded"),
        pod("web-2", node="node2"),
    ]
    assert leaving(objects, "node3").pods == ("default/web-1",)


def test_pods_without_a_controller_and_with_local_data_are_named() -> None:
    scratch = {"volumes": [{"name": "t", "emptyDir": {}}, {"name": "c", "configMap": {}}]}
    found = leaving([pod("solo", None), pod("web-1", spec=scratch)], "node3")
    assert found.bare == ("default/solo",)
    assert found.local == ("default/web-1",)


@pytest.mark.parametrize(
    ("given", "held", "stuck"),
    [
        (budget(1, 1, 2), False, False),
        (budget(0, 1, 2), True, False),
        (budget(0, 2, 2), True, True),
        (budget(0, 2, 2, matchLabels={"app": "db"}), False, False),
        (
            budget(0, 2, 2, matchExpressions=[{"key": "app", "operator": "In", "values": ["web"]}]),
            True,
            True,
        ),
        (
            budget(0, 2, 2, matchExpressions=[{"key": "app", "operator": "DoesNotExist"}]),
            False,
            False,
        ),
    ],
)
def test_a_budget_holds_its_pods_for_now_or_for_ever(given: Any, held: bool, stuck: bool) -> None:
    found = leaving([given, pod("web-1")], "node3")
    assert found.held == ({"default/web-1": "keep"} if held else {})
    assert found.stuck == ({"default/web-1": "keep"} if stuck else {})


def test_a_budget_of_another_namespace_holds_nothing() -> None:
    other = budget(0, 2, 2)
    other["metadata"]["namespace"] = "elsewhere"
    assert leaving([other, pod("web-1")], "node3").held == {}


@pytest.mark.parametrize(
    ("annotations", "spec", "expected"),
    [
        ({}, {}, (False, "")),
        ({}, {"unschedulable": True}, (True, "")),
        ({CORDON: "since"}, {"unschedulable": True}, (True, "since")),
        # Somebody has uncordoned it meanwhile: the note means nothing any more.
        ({CORDON: "since"}, {}, (False, "")),
    ],
)
def test_whose_a_cordon_is(annotations: Any, spec: Any, expected: tuple[bool, str]) -> None:
    resource = {"kind": "Node", "metadata": {"name": "n", "annotations": annotations}, "spec": spec}
    assert cordon(resource) == expected


READY = [{"type": "Ready", "status": "True"}]


def of(owner: str, name: str, node: str, conditions: Any = READY, kind: str = "ReplicaSet") -> Any:
    reference = {"kind": kind, "name": owner, "uid": owner, "controller": True}
    return pod(name, None, node, metadata={"ownerReferences": [reference]}, conditions=conditions)


def test_replicas_that_are_all_on_one_node_are_found() -> None:
    objects = [
        *(of("web", f"web-{number}", "node3") for number in (1, 2)),
        *(of("spread", f"spread-{number}", f"node{number}") for number in (2, 3)),
        of("alone", "alone-1", "node3"),
        # One elsewhere that is not Ready serves nobody.
        *(of("half", f"half-{number}", "node3") for number in (1, 2)),
        of("half", "half-3", "node2", []),
        *(of("ds", f"ds-{number}", "node3", kind="DaemonSet") for number in (1, 2)),
    ]
    assert gathered(objects, "node3") == {"web": "default/web-1", "half": "default/half-1"}
    assert ready_elsewhere(objects, "node3") == {"spread"}


def test_pods_that_are_not_ready_are_named() -> None:
    ending = {"deletionTimestamp": "2026-11-29T18:00:00Z"}
    objects = [
        of("web", "web-1", "node3"),
        of("web", "web-2", "node3", []),
        pod("job-1", "Job", phase="Succeeded"),
        pod("old-1", metadata=ending),
    ]
    assert unready(objects) == {"default/web-2": "web"}
