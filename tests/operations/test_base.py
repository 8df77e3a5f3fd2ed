"""What all operations share."""

from __future__ import annotations

from typing import Any

from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

import runs
from operations import base


def test_waiting_for_another_host_is_bookkeeping() -> None:
    state: Any = FakeState()
    host = create_host(state)
    inner: Any = getattr(base.depends_on._inner, "__wrapped__", base.depends_on._inner)
    with ctx_state.use(state), ctx_host.use(host):
        assert list(inner(None)) == []
    assert runs.of(state).record.of(host.name, "").hidden
