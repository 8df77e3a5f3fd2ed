"""A worker that joins under the name of a node which the cluster has already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from formats.node import Node
from messages import kubernetes as messages
from operations.kubeadm import run
from operations.kubeadm.join_token import JoinCredentials
from remote.failures import HostFailure
from tests.fake_node import Host

OWN, OTHER = "1" * 32, "2" * 32


def join(known: Node | None, replaces: bool, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Join node2 up to the first change on it; return the nodes that were deleted before."""
    first, worker = Host(), Host()
    deleted: list[str] = []

    def delete(script: str, node: str, **_: Any) -> list[str]:
        deleted.append(node)
        return []

    first.node.answer = delete
    worker.node.fact = lambda fact: OWN

    @contextmanager
    def credentials(_: Any) -> Iterator[JoinCredentials]:
        yield JoinCredentials("token", "sha256:PEM", {known.name: known} if known else {})

    class Begun(Exception):
        pass

    def begin(*_: Any) -> None:
        raise Begun

    monkeypatch.setattr(run, "join_credentials", credentials)
    monkeypatch.setattr(run, "Registration", begin)
    state = SimpleNamespace(inventory=SimpleNamespace(get_host=lambda name: first))
    with pytest.raises(Begun):
        run.run_join(state, worker, "node1", "node2", "::", (), "api", {}, replaces)  # type: ignore[arg-type]
    return deleted


def node(machine: str, trouble: str | None = None) -> Node:
    return Node("node2", {}, (), trouble, machine)


@pytest.mark.parametrize("replaces", [False, True])
def test_a_name_that_is_free_or_whose_node_is_away(
    replaces: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert join(None, replaces, monkeypatch) == []
    assert join(node(OWN, "away"), replaces, monkeypatch) == []
    gone = join(node(OTHER, "away"), replaces, monkeypatch)
    assert gone == (["node2"] if replaces else [])


def test_a_ready_node_of_another_machine_is_replaced_if_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(HostFailure) as refused:
        join(node(OTHER), False, monkeypatch)
    expected = messages.NODE_OF_ANOTHER_MACHINE(name="node2", machine=OTHER)
    assert refused.value.args[0] == expected
    assert join(node(OTHER), True, monkeypatch) == ["node2"]


@pytest.mark.parametrize("replaces", [False, True])
def test_the_same_machine_was_reset(replaces: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HostFailure) as refused:
        join(node(OWN), replaces, monkeypatch)
    assert refused.value.args[0] == messages.NODE_EXISTS(name="node2")
