"""How far a node's clock is from this computer's, however long the answer takes."""

from __future__ import annotations

import time

import pytest

from facts.base import BEGIN, END
from facts.clock import Clock

NOW = 1_735_689_600


@pytest.mark.parametrize(
    ("shown", "ahead"),
    [
        (NOW, 0),
        (NOW + 20, 0),  # read in the middle of a slow answer
        (NOW + 40, 0),
        (NOW + 45, 5),
        (NOW - 1, -1),
        (NOW - 7200, -7200),
    ],
)
def test_the_time_that_an_answer_takes_is_no_fault_of_the_clock(
    monkeypatch: pytest.MonkeyPatch, shown: int, ahead: int
) -> None:
    now = iter([NOW + 0.7, NOW + 40.2])
    clock = Clock()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: next(now))
        clock.command()
        lines = [BEGIN, str(shown), "2025-01-01 00:00:00", "yes", "", "", "-", END]
        assert clock.process(lines).ahead == ahead
