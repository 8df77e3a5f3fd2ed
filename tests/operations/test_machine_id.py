"""Machine ids across the hosts of a run."""

from __future__ import annotations

from typing import Any

import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

from operations import machine_id
from operations.base import HostFailure

ONE, TWO = "1" * 32, "2" * 32


def unique(monkeypatch: pytest.MonkeyPatch, state: FakeState, name: str, own: str) -> str:
    """Let a host with this id reach the operation."""
    host = create_host(state)
    host.name = name
    operation: Any = machine_id.unique
    inner = getattr(operation._inner, "__wrapped__", operation._inner)
    monkeypatch.setattr(machine_id, "read", lambda fact: own)
    with ctx_state.use(state), ctx_host.use(host):
        assert list(inner()) == []
        return str(host.noop_description)


def test_hosts_with_ids_of_their_own_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    state = FakeState()
    assert unique(monkeypatch, state, "node1", ONE) == "the machine-id is unique"
    assert unique(monkeypatch, state, "node2", TWO) == "the machine-id is unique"


def test_a_host_is_not_a_copy_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    state = FakeState()
    for _ in range(2):  # while pyinfra prepares, and while it runs
        unique(monkeypatch, state, "node1", ONE)


def test_both_copies_are_refused_once_each_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    state = FakeState()
    unique(monkeypatch, state, "node1", ONE)
    with pytest.raises(HostFailure, match=r"node1.*systemd-machine-id-setup.*\(NOD004\)"):
        unique(monkeypatch, state, "node2", ONE)
    with pytest.raises(HostFailure, match=r"node2.*\(NOD004\)"):
        unique(monkeypatch, state, "node1", ONE)


def test_another_run_knows_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    unique(monkeypatch, FakeState(), "node1", ONE)
    unique(monkeypatch, FakeState(), "node2", ONE)


@pytest.mark.parametrize("own", ["", "uninitialized"])
def test_a_host_without_one_is_refused(monkeypatch: pytest.MonkeyPatch, own: str) -> None:
    with pytest.raises(HostFailure, match="NOD003"):
        unique(monkeypatch, FakeState(), "node1", own)
