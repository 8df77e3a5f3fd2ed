"""
What a run that changes nothing costs, beside a run without a step: in turns, so that what else the
machine does strikes both alike. Only their ratio is judged.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

TURNS = 7
WALL, CPU = 2.0, 1.5  # the most that a run which changes nothing may cost, in empty runs
STARTUP = 1.3  # the most that a start costs, settings checked, in starts of pyinfra alone
OURS = 0.15  # the most that a first run may spend on what is bramble's own
GROWTH = 1.1  # the most that its time a node may grow by, from 2 workers to 8


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, and of the processors of this computer."""

    wall: float
    cpu: float


def cost(action: Callable[[], object]) -> Cost:
    """What an action costs that waits for the processes which it starts."""
    before, started = os.times(), time.monotonic()
    action()
    wall, after = time.monotonic() - started, os.times()
    spent = [
        after.children_user - before.children_user,
        after.children_system - before.children_system,
    ]
    return Cost(wall, sum(spent))


def in_turns(*actions: Callable[[], object], turns: int = TURNS) -> list[list[Cost]]:
    """The costs of each action, taken in turns; the first turn, which warms caches, is left out."""
    costs: list[list[Cost]] = [[] for _ in actions]
    for turn in range(turns + 1):
        for action, found in zip(actions, costs, strict=True):
            once = cost(action)
            if turn:
                found.append(once)
    return costs


def ratio(costs: Sequence[Cost], unit: Sequence[Cost]) -> Cost:
    """The medians of the ratios, turn by turn."""
    pairs = list(zip(costs, unit, strict=True))
    return Cost(
        statistics.median(cost.wall / one.wall for cost, one in pairs),
        statistics.median(cost.cpu / one.cpu for cost, one in pairs),
    )


def median(costs: Sequence[Cost]) -> Cost:
    """The medians, each for itself."""
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
    )
