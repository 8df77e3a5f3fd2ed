"""Cordoned nodes, evictions, and the budgets that forbid them: the answers of a real API server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from standin.node import controllers, disruption, workloads
from standin.node.client import ApiError
from standin.node.common import Obj
from standin.node.disruption import NODES, PODS
from tests.standin.conftest import ControlPlane

BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
READY = {"type": "Ready", "status": "True", "reason": "", "message": ""}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "x:1"}]},
        },
    },
}


class World:
    """Two nodes with a Deployment on them; who runs its pods is the test."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self.store, self.admin = control_plane.store, control_plane.admin
        for name in ("w1", "w2"):
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {}}
            self.admin.request("POST", "/api/v1/nodes", node)
            status = {"status": {"conditions": [READY]}}
            self.admin.merge(f"/api/v1/nodes/{name}/status", status)
        self.admin.request("POST", "/apis/apps/v1/namespaces/default/deployments", DEPLOYMENT)
        self.turn()

    def turn(self, *silent: str) -> None:
        """One round of the controllers and of all kubelets but the silent ones'."""
        controllers.nodes(self.store, {}, running=0)
        workloads.run(self.store)
        for pod in self.pods():
            if pod["spec"].get("nodeName", silent) in silent:
                continue
            if "deletionTimestamp" in pod["metadata"]:
                disruption.end(self.store, pod, 0)
            elif not pod["status"].get("conditions"):
                status = {"phase": "Running", "conditions": [READY]}
                self.store.update(PODS, pod | {"status": status})
        disruption.run(self.store)

    def pods(self, node: str = "") -> list[Obj]:
        """The Deployment's pods, of one node or all."""
        pods = self.store.listed(PODS, "default")[0]
        return [one for one in pods if node in ("", one["spec"].get("nodeName"))]

    def evict(self, pod: Obj) -> None:
        """Ask for an eviction."""
        name = pod["metadata"]["name"]
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        self.admin.request("POST", f"/api/v1/namespaces/default/pods/{name}/eviction", body)

    def budget(self, **spec: object) -> Obj:
        """Make the Deployment's budget, and return its status."""
        spec["selector"] = {"matchLabels": {"app": "web"}}
        about = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget"}
        body = about | {"metadata": {"name": "web"}, "spec": spec}
        self.admin.request("POST", BUDGETS, body)
        disruption.run(self.store)
        return dict(self.admin.get(f"{BUDGETS}/web")["status"])

    def cordon(self, name: str) -> None:
        """Do what kubectl cordon does."""
        self.admin.merge(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": True}})


@pytest.fixture
def world(control_plane: ControlPlane) -> World:
    made = World(control_plane)
    assert len(made.pods("w1")) == len(made.pods("w2")) == 1
    return made


def until(is_true: Callable[[], bool], world: World) -> None:
    for _ in range(4):
        if is_true():
            return
        world.turn()
    pytest.fail(str(world.pods()))


def test_an_evicted_pod_comes_back_on_another_node(world: World) -> None:
    world.cordon("w1")
    (pod,) = world.pods("w1")
    world.evict(pod)
    until(lambda: len(world.pods("w2")) == 2 and not world.pods("w1"), world)
    node = world.store.get(NODES, "", "w1")
    assert node is not None
    assert [one["key"] for one in node["spec"]["taints"]] == [controllers.UNSCHEDULABLE]


def test_a_budget_forbids_the_eviction_that_it_cannot_bear(world: World) -> None:
    found = world.budget(minAvailable=2)
    wanted = {"currentHealthy": 2, "desiredHealthy": 2, "disruptionsAllowed": 0, "expectedPods": 2}
    assert wanted.items() <= found.items()
    with pytest.raises(ApiError) as refused:
        world.evict(world.pods()[0])
    assert refused.value.status == 429
    text = "Cannot evict pod as it would violate the pod's disruption budget."
    assert str(refused.value) == text
    assert refused.value.body["reason"] == "TooManyRequests"
    assert refused.value.body["details"]["causes"] == [
        {
            "reason": "DisruptionBudget",
            "message": "The disruption budget web needs 2 healthy pods and has 2 currently",
        }
    ]


@pytest.mark.parametrize("spec", [{"maxUnavailable": 1}, {"minAvailable": "50%"}])
def test_a_budget_lets_one_pod_go_after_the_other(world: World, spec: Obj) -> None:
    assert world.budget(**spec)["disruptionsAllowed"] == 1
    first, second = world.pods()
    world.evict(first)
    with pytest.raises(ApiError) as refused:
        world.evict(second)
    assert refused.value.status == 429
    names = {one["metadata"]["name"] for one in (first, second)}
    until(lambda: len([one for one in world.pods() if one["status"].get("conditions")]) == 2, world)
    world.turn()
    world.evict(second)
    until(lambda: not names & {one["metadata"]["name"] for one in world.pods()}, world)


def test_a_pod_of_a_silent_node_never_ends_until_the_node_is_deleted(world: World) -> None:
    world.cordon("w1")
    (pod,) = world.pods("w1")
    world.evict(pod)
    for _ in range(3):
        world.turn("w1")
    (ending,) = world.pods("w1")
    assert "deletionTimestamp" in ending["metadata"]
    assert len(world.pods()) == 3, "its successor does not wait for it"
    world.admin.request("DELETE", "/api/v1/nodes/w1")
    until(lambda: not world.pods("w1") and len(world.pods("w2")) == 2, world)
