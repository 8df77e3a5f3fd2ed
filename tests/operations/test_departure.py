"""When a node is drained, when it is refused, and when it is deleted from the cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

import runs
from facts.kubectl import ClusterObjects
from formats.etcd import Member
from formats.pods import CORDON
from messages import kubernetes as messages
from messages import run as run_messages
from messages import settings as settings_messages
from operations.base import HostFailure
from operations.kubeadm import existing
from operations.kubeadm.existing import Existing
from operations.nodes import departure, drain
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
    for module in (departure, drain):
        monkeypatch.setattr(module, "plan", lines.append)
    return lines


@contextmanager
def run(active: set[Named], failed: set[Named]) -> Iterator[Any]:
    state = FakeState()
    state.activated_hosts, state.failed_hosts = active, failed
    host = create_host(state, facts={})
    with ctx_state.use(state), ctx_host.use(host):
        yield state


def member(number: int, **changed: Any) -> Member:
    values = {"name": f"node{number}", "is_learner": False, "is_healthy": True, **changed}
    return Member(f"a{number}", peers=(f"192.168.2.1{number}",), **values)


ADDRESS = "192.168.2.13"
ONE, THREE = [member(1)], [member(1), member(2), member(3)]


def commands(
    monkeypatch: pytest.MonkeyPatch,
    operation: Any,
    objects: list[Any],
    active: set[Named] = ALL,
    failed: set[Named] = frozenset(),  # type: ignore[assignment]
    known: Existing | None = None,
    suggested: Sequence[str] = (),
    **arguments: Any,
) -> list[Any]:
    """
    The arguments of what an operation does on the control plane.

    + known: what the other control planes tell
    """
    seen = Existing("node1", ONE) if known is None else known
    monkeypatch.setattr(existing, "ask", lambda control_planes: seen)
    monkeypatch.setattr(departure, "inventory", SimpleNamespace(get_host=lambda name: name))
    monkeypatch.setattr(departure, "read_from", lambda *_, **__: ClusterObjects(True, objects))
    inner = getattr(operation._inner, "__wrapped__", operation._inner)
    others = {"node1": "192.168.2.11", **arguments.pop("others", {})}
    with run(active, failed) as state:
        given = inner(node="node3", control_planes=others, **arguments)
        found = [command.args for command in given]
        assert runs.of(state).next_commands == [*suggested]
        return found


def drained(monkeypatch: pytest.MonkeyPatch, *objects: Any, **changed: Any) -> list[Any]:
    arguments = {
        "address": ADDRESS,
        "seconds": 300,
        "lines": {"node3": LINE},
        "suggested": [f"remove {LINE}"],
        **changed,
    }
    return commands(monkeypatch, departure.drained, [*CLUSTER, *objects], **arguments)


def test_a_node_is_cordoned_and_drained(monkeypatch: pytest.MonkeyPatch, shown: list[str]) -> None:
    assert drained(monkeypatch, node("node3"), pod("web-1")) == [("node1", "node3", 300, True)]
    assert "Will drain node3: evict default/web-1" in shown
    assert any(LINE in line for line in shown)


def test_a_cordon_that_is_there_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another's, or bramble's own of a run that was interrupted."""
    for notes in ({}, {CORDON: "deploys/remove.py since 2026-11-29T18:00:00Z"}):
        cordoned = node("node3", unschedulable=True, annotations=notes)
        assert drained(monkeypatch, cordoned, pod("web-1")) == [("node1", "node3", 300, False)]
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
    monkeypatch.setattr(f"{__name__}.CLUSTER", CLUSTER[:1])
    assert drained(monkeypatch, node("node3"), pod("web-1")) == [("node1", "node3", 300, True)]
    assert any(getattr(line, "message", None) is messages.NO_ROOM for line in shown)


def test_a_node_is_deleted_once_it_was_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [*CLUSTER, node("node3")]
    assert commands(monkeypatch, departure.deleted, objects, yes=None) == [
        ("node1", "node3", True, None)
    ]
    assert commands(monkeypatch, departure.deleted, CLUSTER, yes=None) == []


def test_a_node_that_was_not_reset_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [*CLUSTER, node("node3")]
    with pytest.raises(HostFailure) as reason:
        commands(monkeypatch, departure.deleted, objects, yes=None, failed={Named("node3")})
    assert reason.value.args[0].message is run_messages.DEPENDENCY_FAILED


def test_a_node_that_does_not_answer_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    objects, there = [*CLUSTER, node("node3")], ALL - {Named("node3")}
    found = commands(
        monkeypatch, departure.deleted, objects, yes=None, active=there, failed={Named("node3")}
    )
    assert found == [("node1", "node3", False, None)]


# --- a control plane ----------------------------------------------------------------------------

OTHERS = {"others": {"node2": "192.168.2.12"}}


def left(monkeypatch: pytest.MonkeyPatch, members: list[Member], **changed: Any) -> list[Any]:
    given = {"address": ADDRESS, "yes": None, "known": Existing("node1", members), **changed}
    return commands(monkeypatch, departure.left_etcd, CLUSTER, **given)


def test_a_control_plane_leaves_etcd(monkeypatch: pytest.MonkeyPatch) -> None:
    assert left(monkeypatch, THREE) == [("node1", "node3", ADDRESS, True, None)]
    assert left(monkeypatch, THREE[:2]) == []
    dead = {"active": ALL - {Named("node3")}, "failed": {Named("node3")}, "yes": "node3"}
    assert left(monkeypatch, THREE, **dead) == [("node1", "node3", ADDRESS, False, "node3")]


def test_it_stays_where_etcd_would_stop_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    members = [member(1), member(2, is_healthy=False), member(3)]
    with pytest.raises(HostFailure) as drain_refused:
        drained(monkeypatch, node("node3"), known=Existing("node1", members))
    with pytest.raises(HostFailure) as refused:
        left(monkeypatch, members)
    for each in (drain_refused, refused):
        assert each.value.args[0].message is messages.QUORUM_WOULD_BE_LOST


def test_it_stays_while_etcd_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = Existing(silent={"node1": "deadline"})
    with pytest.raises(HostFailure) as refused:
        drained(monkeypatch, known=silent)
    assert refused.value.args[0] == messages.ETCD_NOT_ASKED(reason="node1 (deadline)")


def test_the_last_one_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are in the inventory, and have left the cluster."""
    with pytest.raises(HostFailure) as refused:
        drained(monkeypatch, known=Existing())
    assert refused.value.args[0] == settings_messages.LAST_CONTROL_PLANE(node="node3")


def test_what_is_to_be_done_in_the_inventory(
    monkeypatch: pytest.MonkeyPatch, shown: list[str]
) -> None:
    lines = {f"node{number}": f"line {number}" for number in (1, 2, 3)}
    given = {"lines": lines, "is_control_plane": True, **OTHERS}
    instead = [
        "write another control plane in the place of each that left,",
        "or remove a further one with deploys/remove.py",
    ]
    known = Existing("node1", THREE)
    drained(monkeypatch, node("node3"), known=known, suggested=instead, **given)
    assert any(getattr(line, "message", None) is messages.EVEN_MEMBERS for line in shown)
    known = Existing("node1", [member(1), member(3)])
    both = ["remove line 3", "remove line 2"]
    drained(monkeypatch, node("node3"), known=known, suggested=both, **given)


def test_what_answers_has_to_be_ready_to_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HostFailure) as refused:
        left(monkeypatch, THREE, failed={Named("node3")})
    assert refused.value.args[0].message is run_messages.DEPENDENCY_FAILED
