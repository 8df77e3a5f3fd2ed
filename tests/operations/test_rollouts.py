"""Waiting for nodes and pods: whoever is at fault is named, and the others are not held up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from facts.kubectl import ClusterObjects
from messages import Said, codes
from messages import kubernetes as messages
from operations.nodes import rollouts
from remote.failures import Unreachable
from tests.fake_node import Host

NAMES = ("node1", "node2", "node3")
PODS = "kube-system/daemonset/kube-proxy"
GONE = messages.NODE_GONE(reason="no route")


class Run:
    """A run on three nodes, and what the cluster says of them when it is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hosts: dict[str, Any] = {name: Host(name) for name in NAMES}
        self.said: dict[str, list[str]] = {name: host.said for name, host in self.hosts.items()}
        self.failed: set[Any] = set()
        self.not_ready: set[str] = set()
        self.pods = 3
        self.faults: dict[str, Said] = {}
        self.state: Any = SimpleNamespace(
            activated_hosts=set(self.hosts.values()),
            failed_hosts=self.failed,
            inventory=SimpleNamespace(get_host=self.hosts.get),
            fail_hosts=self.failed.update,
        )
        self.hosts["node1"].node.fact = lambda *_: self.objects()
        monkeypatch.setattr(rollouts, "_CLUSTER_PAUSE_S", 0)
        monkeypatch.setattr(rollouts, "_watch", lambda host, *_: self.faults.get(host.name))

    def objects(self) -> ClusterObjects:
        found: list[dict[str, Any]] = [
            {
                "kind": "Node",
                "metadata": {"name": name},
                "status": {
                    "conditions": [
                        {
                            "type": "Ready",
                            "status": "Unknown" if name in self.not_ready else "True",
                            "message": "Kubelet stopped posting node status.",
                        }
                    ]
                },
            }
            for name in NAMES
        ]
        status = {
            "desiredNumberScheduled": 3,
            "updatedNumberScheduled": 3,
            "numberAvailable": self.pods,
        }
        metadata = {"name": "kube-proxy", "namespace": "kube-system"}
        found.append(
            {"kind": "DaemonSet", "apiVersion": "apps/v1", "metadata": metadata, "status": status}
        )
        return ClusterObjects(True, found)

    def wait(self, seconds: int) -> bool:
        node1 = self.hosts["node1"]
        return rollouts.wait_until_ready(self.state, node1, NAMES, [PODS], seconds)

    def names(self) -> set[str]:
        return {host.name for host in self.failed}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(monkeypatch)


def test_a_node_that_is_not_ready_in_time_fails_and_not_the_control_plane(run: Run) -> None:
    run.not_ready, run.pods = {"node3"}, 2
    assert run.wait(0)
    assert run.names() == {"node3"}
    reason = "Kubelet stopped posting node status."
    assert run.said["node3"] == [messages.NOT_READY(seconds=0, reason=reason)]


def test_pods_that_are_not_ready_in_time_fail_the_control_plane(run: Run) -> None:
    run.pods = 1
    assert not run.wait(0)
    assert run.names() == set()
    (said,) = run.said["node1"]
    assert codes(said) == [messages.PODS_NOT_READY.code]
    assert "kube-proxy: 1 of 3 pods" in said


def test_a_control_plane_that_is_not_ready_in_time_fails(run: Run) -> None:
    run.not_ready = {"node1"}
    assert not run.wait(0)
    assert "Kubelet stopped" in run.said["node1"][0]


def test_an_unreachable_node_is_not_waited_for_while_the_cluster_counts_it_as_ready(
    run: Run,
) -> None:
    run.pods, run.faults = 2, {"node3": GONE}
    assert run.wait(600)
    assert run.names() == {"node3"}
    assert run.said["node3"] == [GONE]


def test_a_kubelet_of_the_control_plane_that_keeps_exiting_ends_the_wait(run: Run) -> None:
    exits = messages.KUBELET_EXITS(reason="out of cheese")
    run.pods, run.faults = 0, {"node1": exits}
    assert not run.wait(600)
    assert run.names() == set()
    assert run.said["node1"][-1] == exits


def test_an_unreachable_control_plane_fails_and_no_worker_does(
    run: Run,
) -> None:
    def away(*_: object) -> None:
        raise Unreachable

    control_plane = run.hosts["node1"].node
    control_plane.fact, control_plane.reconnects = away, "no route"
    run.faults = {"node3": GONE}
    assert not run.wait(600)
    assert run.names() == set()
    assert run.said["node1"] == [GONE]
