"""How a node is drained: a replica keeps serving, and what does not end is undone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from facts.kubectl import ClusterObjects
from formats.pods import CORDON
from messages import kubernetes as messages
from operations.nodes import drain
from remote import Result
from remote.failures import HostFailure, RemoteFailure
from tests.fake_node import Host
from tests.formats.test_pods import of

MARK = "deploys/reboot.py since 2026-11-29T18:00:00Z"
OTHER = "deploys/upgrade.py since 2026-11-29T18:00:00Z"


def node(name: str, note: str = "", **spec: Any) -> Any:
    metadata = {"name": name, "annotations": {CORDON: note} if note else {}}
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    return {"kind": "Node", "metadata": metadata, "spec": spec, "status": status}


class Cluster:
    """node3 is drained on node1, where its steps are noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, note: str = MARK) -> None:
        monkeypatch.setattr(drain, "_PAUSE_S", 0)
        self.host: Any = Host("node1")
        self.steps: list[str] = []
        self.nodes = [node("node2"), node("node3", note, unschedulable=True)]
        self.pods = [of("web", "web-1", "node3"), of("web", "web-2", "node3")]
        self.replaced, self.refused, self.ended = True, False, Result(0, [])
        self.answers = True
        self.host.node.fact = lambda *_: self.objects()
        self.host.node.answer = self.run
        monkeypatch.setattr(self.host.node, "stream", self.stream)

    def objects(self) -> ClusterObjects:
        if not self.answers:
            return ClusterObjects(False, [], "was refused")
        return ClusterObjects(True, [*self.nodes, *self.pods])

    def run(self, script: str, *words: str, stdin: str | None = None) -> list[str]:
        if "eviction" in script:
            self.steps.append(f"evict {words[1]}")
            if self.refused:
                raise RemoteFailure("Cannot evict pod as it would violate the budget")
            assert json.loads(stdin or "")["metadata"]["name"] == words[1]
            del self.pods[0]
            if self.replaced:
                self.pods.append(of("web", "web-3", "node2"))
        else:
            spec = json.loads(words[1])["spec"]
            self.steps.append("cordon" if spec["unschedulable"] else "uncordon")
        return []

    def stream(self, command: Any, on_line: Any = None) -> Result:
        self.steps.append("drain")
        return self.ended

    def drain(self, cordon: bool = True, seconds: int = 60) -> None:
        drain.drain(self.host, self.host, "node3", seconds, MARK, cordon)


def test_one_of_several_replicas_runs_elsewhere_before_the_others_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster(monkeypatch)
    cluster.drain()
    assert cluster.steps == ["cordon", "evict web-1", "drain"]


def test_without_another_node_or_with_a_budget_all_are_left_to_kubectl(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster(monkeypatch)
    cluster.refused = True
    cluster.drain(cordon=False)
    assert cluster.steps == ["evict web-1", "drain"]
    cluster = Cluster(monkeypatch)
    del cluster.nodes[0]
    cluster.drain(cordon=False)
    assert cluster.steps == ["drain"]


def test_the_last_replica_stays_while_no_other_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch)
    cluster.replaced = False
    with pytest.raises(HostFailure) as failure:
        cluster.drain(seconds=0)
    said = failure.value.args[0]
    assert said.message is messages.NOT_DRAINED
    assert said.values["pods"] == "default/web-2"
    assert cluster.steps == ["cordon", "evict web-1", "uncordon"]


@pytest.mark.parametrize(("note", "undone"), [(MARK, True), (OTHER, False), ("", False)])
def test_only_an_own_cordon_is_undone(
    note: str, undone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(monkeypatch, note)
    cluster.pods, cluster.ended = [of("web", "web-1", "node3")], Result(1, ["error: timed out"])
    with pytest.raises(HostFailure) as failure:
        cluster.drain(cordon=False)
    assert failure.value.args[0].message is messages.NOT_DRAINED
    assert cluster.steps == (["drain", "uncordon"] if undone else ["drain"])


def test_a_drain_whose_end_is_not_known_leaves_the_cordon(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch)
    cluster.pods, cluster.ended = [], Result(-1, ["the connection was lost"])
    with pytest.raises(HostFailure) as failure:
        cluster.drain()
    assert failure.value.args[0].message is messages.DRAIN_LOST
    assert cluster.steps == ["cordon", "drain"]
    cluster.answers = False
    with pytest.raises(HostFailure) as failure:
        cluster.drain(cordon=False)
    assert str(failure.value.args[0].values["reason"]) == "was refused"
