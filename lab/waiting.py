"""Wait for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Seconds: more than anything takes on a slow, busy machine.
PATIENCE = 300.0
# The pause after a call that has taken a second.
_REST = 2.0


def until(condition: Callable[[], T], seconds: float = PATIENCE, pause: float = 0.05) -> T:
    """
    Call a condition until it is true; return its last value.

    + condition: called each time
    + seconds: the longest time to wait
    + pause: seconds between two calls, at least: on a busy machine they are fewer

    **Example:**

    ```python
    assert until(file.exists), "it was not written"
    ```
    """
    started = asked = time.monotonic()
    while not (answer := condition()) and (now := time.monotonic()) < started + seconds:
        time.sleep(max(pause, _REST * (now - asked)))
        asked = time.monotonic()
    return answer
