"""What `make verify` says of control planes that do not answer."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from messages import codes
from messages import verify as messages
from tests.cluster.connections import Connections
from tests.cluster.findings import Wrong


def connections(
    answering: Sequence[str], planes: int = 3, behind: str | None = None
) -> Connections:
    """Connections to some of the control planes; with `behind` all but that one are behind it."""
    nodes = [SimpleNamespace(name=f"node{n}") for n in range(1, planes + 1)]
    cluster: Any = SimpleNamespace(
        control_plane=nodes,
        nodes=nodes,
        gateway_of=lambda node: behind if node.name != behind else None,
    )
    made = Connections(cluster)
    made.close()
    made.hosts = dict.fromkeys(answering)
    problem = Wrong(messages.GATEWAY_UNREACHABLE(gateway="node1"))
    made.problems = {node.name: problem for node in nodes if node.name not in answering}
    return made


@pytest.mark.parametrize(
    ("answering", "planes", "words"),
    [
        (("node3",), 3, "2 of 3 control planes do not answer (node1, node2), and etcd needs 2 "),
        ((), 3, "3 of 3 control planes do not answer (node1, node2, node3), and etcd needs 2 "),
        (("node1", "node2"), 5, "3 of 5 control planes do not answer (node3, node4, node5), and "),
    ],
)
def test_it_says_that_a_majority_is_away(answering: Sequence[str], planes: int, words: str) -> None:
    said = connections(answering, planes).no_majority()
    assert said
    assert said.startswith(words)
    assert codes(said) == ["KUB086"]


def test_it_does_not_say_so_of_a_minority_or_of_one_that_is_alone() -> None:
    assert connections(("node1", "node3")).no_majority() is None
    assert connections((), 1).no_majority() is None


def test_it_does_not_say_so_of_those_behind_a_gateway_that_is_away() -> None:
    assert connections((), behind="node1").no_majority() is None
    assert connections(("node1",), behind="node1").no_majority() is not None
