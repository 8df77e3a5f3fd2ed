"""What all operations share."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

import runs
from messages import run as messages
from operations import base


def test_waiting_for_another_host_is_bookkeeping() -> None:
    state: Any = FakeState()
    host = create_host(state)
    inner: Any = getattr(base.depends_on._inner, "__wrapped__", base.depends_on._inner)
    with ctx_state.use(state), ctx_host.use(host):
        assert list(inner(None)) == []
    assert runs.of(state).record.of(host.name, "").hidden


def test_the_host_is_named_whose_failure_is_the_cause() -> None:
    """node1 is skipped since node3 failed, and node2 since node1 was skipped."""
    state: Any = FakeState()
    inner: Any = getattr(base.depends_on._inner, "__wrapped__", base.depends_on._inner)
    state.failed_hosts = {create_host(state, name="node3")}
    for name, other in (("node1", "node3"), ("node2", "node1")):
        host = create_host(state, name=name)
        with ctx_state.use(state), ctx_host.use(host), pytest.raises(base.HostFailure) as reason:
            list(inner(other))
        assert reason.value.args[0] == messages.DEPENDENCY_FAILED(other="node3")
        state.failed_hosts.add(host)


@pytest.mark.parametrize(
    ("through", "said"),
    [
        ("", messages.CONNECTION_LOST(reason="no route")),
        ("node3", messages.CONNECTION_LOST(reason="no route")),
        ("node1", messages.LOST_WITH(other="node1", reason="no route")),
    ],
)
def test_a_lost_connection_is_the_other_s_only_where_it_goes_through_it(
    monkeypatch: pytest.MonkeyPatch, through: str, said: object
) -> None:
    state: Any = FakeState()
    state.failed_hosts, state.is_executing = set(), True
    node = SimpleNamespace(through=through, ensure_open=lambda: "no route")
    monkeypatch.setattr(base.remote, "of", lambda host: node)  # type: ignore[attr-defined]
    inner: Any = getattr(base.depends_on._inner, "__wrapped__", base.depends_on._inner)
    host = create_host(state, name="node2")
    with ctx_state.use(state), ctx_host.use(host), pytest.raises(base.HostFailure) as reason:
        list(inner("node1"))
    assert reason.value.args[0] == said
