"""What all operations share."""

from __future__ import annotations

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
