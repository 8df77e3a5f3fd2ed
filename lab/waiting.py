"""Waiting for what happens in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Seconds. Much more than anything takes, also on a machine five times slower than a laptop with
# other work besides: only what will never happen is given up after it.
PATIENCE = 300.0


def until(condition: Callable[[], T], seconds: float = PATIENCE, pause: float = 0.05) -> T:
    """
    Ask again and again until the answer is true; gives the last answer: false, when time is up.

    + condition: what is asked
    + seconds: after which it is given up
    + pause: seconds between two questions

    **Example:**

    ```python
    assert until(file.exists), "it was not written"
    ```
    """
    deadline = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(pause)
    return answer
