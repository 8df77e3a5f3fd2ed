"""What stands on the screen of a run, and what is for its log alone."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from report.screen import Screen
from runs.output import DETAIL, detail


class Host:
    """As pyinfra's logs."""

    def log(self, message: str, log_func: Any) -> None:
        log_func(f"[node1] {message}")


@pytest.mark.parametrize("verbose", [False, True])
def test_a_detail_is_shown_with_v_alone(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, verbose: bool
) -> None:
    host: Any = Host()
    nothing: Any = None
    logger = logging.getLogger("pyinfra")
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level(logging.INFO, "pyinfra")
    detail(host, "[certs] Generating")
    (record,) = caplog.records
    assert getattr(record, DETAIL)
    assert Screen(nothing, nothing, verbose=verbose).filter(record) is verbose
