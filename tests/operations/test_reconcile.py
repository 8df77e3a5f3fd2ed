"""Nodes that have come or gone since a backup, and pods that it does not know."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from facts.kubeadm import Member, MemberState
from facts.kubectl import ClusterObjects, Objects
from facts.restoration import Restoration, RestorationState
from messages import codes
from operations.restore import reconcile
from tests.fake_node import Host
from tests.formats.test_restored import lease, pod

SINCE = 1764469800  # 2025-11-30 02:30 UTC
OLD, NEW = "2025-11-30T02:00:00.000000Z", "2025-11-30T02:31:00.000000Z"


def cluster(old: Iterable[str], new: Iterable[str], *pods: Any) -> ClusterObjects:
    """A cluster that knows these nodes: those whose kubelets are silent, those that report."""
    times = {**dict.fromkeys(old, OLD), **dict.fromkeys(new, NEW)}
    nodes = [{"kind": "Node", "metadata": {"name": name}} for name in times]
    return ClusterObjects(True, [*nodes, *(lease(*each) for each in times.items()), *pods])


def reconciled(
    monkeypatch: pytest.MonkeyPatch,
    answers: list[ClusterObjects],
    workers: Iterable[str] = ("node2", "node3"),
    running: Iterable[str] = ("node2",),
) -> tuple[list[str], dict[str, list[str]]]:
    """
    Reconcile, the API server giving one answer after the other, the last one for ever.

    + running: workers of the run
    + returns: the codes of what is said, and the commands on each node
    """
    clock = iter(range(1000))
    monkeypatch.setattr("operations.restore.reconcile.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("operations.restore.reconcile.gevent.sleep", lambda seconds: None)
    hosts = {name: Host(name) for name in ("node1", *running)}
    done: dict[str, list[str]] = {name: [] for name in hosts}
    for name, host in hosts.items():

        def answer(script: str, *words: str, stdin: Any = None, name: str = name) -> list[str]:
            done[name].append(" ".join(("restart" if "restart" in script else "delete", *words)))
            return []

        def fact(which: Any, *_: Any) -> Any:
            if isinstance(which, Restoration):
                return RestorationState(SINCE, "", "initialized", True)
            if isinstance(which, Member):
                return MemberState("joined")
            assert isinstance(which, Objects)
            return answers.pop(0) if len(answers) > 1 else answers[0]

        host.node.answer, host.node.fact = answer, fact
    state = SimpleNamespace(active_hosts=set(hosts.values()), failed_hosts=set())
    pods = {"node2": {"1": "default/stays", "9": "default/later"}}
    reconcile.reconcile(state, hosts["node1"], "node1", list(workers), pods, 300)  # type: ignore[arg-type]
    return codes("\n".join(hosts["node1"].said)), done


def test_it_waits_until_the_kubelets_report(monkeypatch: pytest.MonkeyPatch) -> None:
    known = pod("stays", "node2", "1"), pod("later", "node2", "9")
    away = ClusterObjects(False, [], "refused")
    answers = [away, cluster(["node1", "node2"], []), cluster(["node2"], ["node1"])]
    answers.append(cluster([], ["node1", "node2"], *known))
    said, done = reconciled(monkeypatch, answers)
    assert said == []
    assert done == {"node1": [], "node2": []}
    assert len(answers) == 1


def test_what_is_new_is_registered_and_what_is_gone_is_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pods = pod("stays", "node2", "1"), pod("again", "node2", "2")
    before = cluster(["node3", "node9"], ["node1", "node8"])
    after = cluster(["node3", "node9"], ["node1", "node2", "node8"], *pods)
    said, done = reconciled(monkeypatch, [before, before, after])
    # Registered, silent, gone, in no inventory; later is stopped, again is started.
    assert said == ["RES009", "RES011", "RES010", "RES012", "RES007", "RES008"]
    assert done == {"node1": ["delete node9"], "node2": ["restart"]}


def test_a_kubelet_that_never_reports_is_left_to_the_wait_for_ready_nodes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said, done = reconciled(monkeypatch, [cluster(["node2"], ["node1"])], workers=["node2"])
    assert "RES010" not in said
    assert done == {"node1": [], "node2": []}


def test_nothing_is_listed_of_a_cluster_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said, done = reconciled(monkeypatch, [ClusterObjects(False, [], "refused")])
    assert (said, done) == ([], {"node1": [], "node2": []})
