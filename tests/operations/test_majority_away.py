"""Too few control planes answer: what a roll-out says, before it waits for an API server."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from facts.etcd import EtcdState
from facts.kubectl import ClusterObjects
from messages import codes
from messages import kubernetes as messages
from operations.kubeadm import existing
from operations.nodes.control_planes import ControlPlanes
from operations.rollout import checks
from operations.rollout.work import Rollout
from remote.failures import HostFailure

PLANES = {"node1": "192.168.2.11", "node2": "192.168.2.12", "node3": "192.168.2.13"}


@dataclass(frozen=True)
class Host:
    name: str


ANSWERS = {"node3": {"metadata": {"name": "node3"}}}


def asked(monkeypatch: pytest.MonkeyPatch, away: set[str], answering: str = "") -> list[Any]:
    """Ask; return the patience with each control plane that was asked, then the result."""
    hosts = {name: Host(name) for name in PLANES}
    here = {hosts[name] for name in PLANES if name not in away}
    found: list[Any] = []

    def cluster_nodes(host: Any, seconds: int) -> Any:
        found.append((host.name, seconds))
        if host.name == answering:
            return ANSWERS
        raise HostFailure(messages.API_NOT_ANSWERING(reason=f"{host.name} does not"))

    run = SimpleNamespace(failed_hosts={hosts[name] for name in away}, activated_hosts=here)
    monkeypatch.setattr(checks, "state", run)
    monkeypatch.setattr(checks, "inventory", SimpleNamespace(get_host=hosts.get))
    monkeypatch.setattr(checks, "cluster_nodes", cluster_nodes)
    running = {each.name for each in here}
    try:
        result: Any = checks.first_that_answers(Rollout(planes=ControlPlanes(PLANES, "")), running)
    except HostFailure as failure:
        result = failure.args[0]
    return [*found, result]


def test_it_says_how_many_do_not_answer_and_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    *found, said = asked(monkeypatch, {"node1", "node2"})
    assert found == [("node3", 0), ("node1", 0), ("node2", 0)]
    assert codes(said) == ["KUB086"]
    assert "2 of 3 control planes do not answer (node1, node2), and etcd needs 2 of them" in said


def test_it_goes_on_where_the_api_server_answers_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """This computer alone does not reach the others."""
    *_, (host, nodes) = asked(monkeypatch, {"node1", "node2"}, "node3")
    assert (host.name, nodes) == ("node3", ANSWERS)


def test_otherwise_it_says_why_the_first_that_is_here_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    *found, said = asked(monkeypatch, {"node1"})
    assert [name for name, _ in found] == ["node2", "node3", "node1"]
    assert all(seconds > 0 for _, seconds in found)
    assert codes(said) == ["KUB006"]
    assert "node2 does not" in said


def test_one_that_was_never_reached_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever became of the command that was to read its members of etcd."""
    away, silent = Host("node1"), Host("node3")

    def read_together(*questions: Any) -> list[Any]:
        if questions[0][0] is away:
            raise HostFailure("could not read EtcdMembers on node1: the command failed")
        return [EtcdState("silent", [], "Error: deadline"), ClusterObjects(False, []), ""]

    run = SimpleNamespace(failed_hosts={away}, activated_hosts={silent})
    hosts = {each.name: each for each in (away, silent)}
    monkeypatch.setattr(existing, "state", run)
    monkeypatch.setattr(existing, "inventory", SimpleNamespace(get_host=hosts.get))
    monkeypatch.setattr(existing, "read_together", read_together)
    known = existing.ask({name: PLANES[name] for name in hosts})
    assert known.reasons() == "node3 (Error: deadline); node1 (does not answer)"
