"""What is asked of a control plane whose API server is starting."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from facts.kubectl import ClusterObjects
from messages import codes
from operations.kubeadm import acting
from remote.failures import HostFailure

NODES = [{"kind": "Node"}]
WELL = ClusterObjects(answers=True, objects=NODES)
STARTING = ClusterObjects(answers=False, objects=[], why="connection refused")
BLANK = ClusterObjects(answers=False, objects=[], why="kubectl: not found")


def asked(
    monkeypatch: pytest.MonkeyPatch, *answers: ClusterObjects, seconds: int = acting.API_S
) -> ClusterObjects:
    """Ask a control plane that answers so, one after the other, and the last one at the end."""
    left = list(answers)

    def answer(*arguments: Any, **named: Any) -> ClusterObjects:
        return left.pop(0)

    monkeypatch.setattr(acting, "read_from", answer)
    monkeypatch.setattr(
        acting, "remote", SimpleNamespace(of=lambda _: SimpleNamespace(gather=answer))
    )
    monkeypatch.setattr(acting, "state", None)
    quiet = SimpleNamespace(of=lambda _: SimpleNamespace(is_asking=False))
    monkeypatch.setattr(acting, "gathering", quiet)
    monkeypatch.setattr("operations.kubeadm.acting.gevent.sleep", lambda _: None)
    found = acting.objects(SimpleNamespace(name="node1"), ["nodes"], seconds)  # type: ignore[arg-type]
    assert left == []
    return found


def test_an_api_server_that_is_starting_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, WELL).objects == NODES
    assert asked(monkeypatch, STARTING, STARTING, WELL).objects == NODES


@pytest.mark.parametrize(("answer", "seconds"), [(BLANK, acting.API_S), (STARTING, -1)])
def test_one_that_is_not_there_or_not_in_time_is_said(
    monkeypatch: pytest.MonkeyPatch, answer: ClusterObjects, seconds: int
) -> None:
    with pytest.raises(HostFailure) as failure:
        asked(monkeypatch, answer, seconds=seconds)
    assert codes(str(failure.value)) == ["KUB006"]
    assert answer.why in str(failure.value)
