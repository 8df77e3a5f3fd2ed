"""When a node is drained, when it is refused, and when it is deleted from the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeHost, FakeState, create_host

import runs
from facts.kubectl import ClusterObjects
from formats.pods import CORDON
from messages import kubernetes as messages
from messages import run as run_messages
from operations.base import HostFailure
from operations.nodes import departure
from tests.formats.test_pods import budget, pod

LINE = 'inventory.py line 7: ("node3", {"address": "192.168.2.13"})'


class Named(NamedTuple):
    """Of a host, what is asked here."""

    name: str


ALL = {Named("node1"), Named("node2"), Named("node3")}


def node(name: str, ready: str = "True", **spec: Any) -> Any:
    annotations = spec.pop("annotations", {})
    condition = {"type": "Ready", "status": ready, "message": "silent"}
    metadata = {"name": name, "annotations": annotations}
    return {
        "kind": "Node",
        "metadata": metadata,
        "spec": spec,
        "status": {"conditions": [condition]},
    }


CLUSTER = [node("node1", taints=[{"key": "c", "effect": "NoSchedule"}]), node("node2")]


@pytest.fixture(autouse=True)
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was shown of the plan."""
    lines: list[str] = []
    monkeypatch.setattr(departure, "plan", lines.append)
    for name in ("log", "log_styled"):
        monkeypatch.setattr(FakeHost, name, lambda *args, **kwargs: None, raising=False)
    return lines


@contextmanager
def run(active: set[Named], failed: set[Named]) -> Iterator[Any]:
    state = FakeState()
    state.activated_hosts, state.failed_hosts = active, failed
    host = create_host(state, facts={})
    with ctx_state.use(state), ctx_host.use(host):
        yield state


def commands(
    monkeypatch: pytest.MonkeyPatch,
    operation: Any,
    objects: list[Any],
    *arguments: Any,
    active: set[Named] = ALL,
    failed: set[Named] = frozenset(),  # type: ignore[assignment]
) -> list[Any]:
    """The arguments of what an operation does on the control plane."""
    monkeypatch.setattr(departure, "read", lambda *_, **__: ClusterObjects(True, objects))
    inner = getattr(operation._inner, "__wrapped__", operation._inner)
    with run(active, failed) as state:
        found = [command.args for command in inner("node3", *arguments)]
        if operation is departure.drained:
            assert runs.of(state).next_commands == [f"remove {LINE}"]
        return found


def drained(monkeypatch: pytest.MonkeyPatch, *objects: Any, **hosts: Any) -> list[Any]:
    return commands(monkeypatch, departure.drained, [*CLUSTER, *objects], 300, LINE, **hosts)


def test_a_node_is_cordoned_and_drained(monkeypatch: pytest.MonkeyPatch, shown: list[str]) -> None:
    assert drained(monkeypatch, node("node3"), pod("web-1")) == [("node3", 300, True)]
    assert "Will drain node3: evict default/web-1" in shown
    assert any(LINE in line for line in shown)


def test_a_cordon_that_is_there_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another's, or bramble's own of a run that was interrupted."""
    for notes in ({}, {CORDON: "deploys/remove.py since 2026-11-29T18:00:00Z"}):
        cordoned = node("node3", unschedulable=True, annotations=notes)
        assert drained(monkeypatch, cordoned, pod("web-1")) == [("node3", 300, False)]
        assert drained(monkeypatch, cordoned) == []


def test_what_cannot_be_drained_is_left_to_its_deletion(monkeypatch: pytest.MonkeyPatch) -> None:
    others = ALL - {Named("node3")}
    assert drained(monkeypatch, node("node3"), pod("web-1"), active=others) == []
    assert drained(monkeypatch, node("node3", "Unknown"), pod("web-1")) == []
    assert drained(monkeypatch) == []


def test_pods_that_would_be_lost_are_named_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HostFailure) as reason:
        drained(monkeypatch, node("node3"), pod("solo", None))
    said = reason.value.args[0]
    assert said.message is messages.BARE_PODS
    assert said.values["commands"] == "kubectl delete pod -n default solo"


def test_a_budget_that_is_never_met_is_named_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HostFailure) as reason:
        drained(monkeypatch, node("node3"), pod("web-1"), budget(0, 1, 1))
    assert reason.value.args[0].message is messages.BUDGET_NEVER_MET
    assert reason.value.args[0].values["pods"] == "default/web-1 (keep)"
    # One that is not met now may be later.
    assert drained(monkeypatch, node("node3"), pod("web-1"), budget(0, 1, 2))


def test_pods_without_another_node_are_a_warning(
    monkeypatch: pytest.MonkeyPatch, shown: list[str]
) -> None:
    only = [CLUSTER[0], node("node3"), pod("web-1")]
    assert commands(monkeypatch, departure.drained, only, 300, LINE) == [("node3", 300, True)]
    assert any(getattr(line, "message", None) is messages.NO_ROOM for line in shown)


def test_a_node_is_deleted_once_it_was_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [*CLUSTER, node("node3")]
    assert commands(monkeypatch, departure.deleted, objects, None) == [("node3", True, None)]
    assert commands(monkeypatch, departure.deleted, CLUSTER, None) == []


def test_a_node_that_was_not_reset_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [*CLUSTER, node("node3")]
    with pytest.raises(HostFailure) as reason:
        commands(monkeypatch, departure.deleted, objects, None, failed={Named("node3")})
    assert reason.value.args[0].message is run_messages.DEPENDENCY_FAILED


def test_a_node_that_does_not_answer_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    objects, there = [*CLUSTER, node("node3")], ALL - {Named("node3")}
    found = commands(
        monkeypatch, departure.deleted, objects, None, active=there, failed={Named("node3")}
    )
    assert found == [("node3", False, None)]
