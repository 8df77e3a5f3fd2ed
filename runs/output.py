"""What an operation prints while it works, besides its changes."""

from __future__ import annotations

import time
from functools import partial
from typing import Literal

from pyinfra import logger
from pyinfra.api.host import Host

DETAIL = "bramble_detail"  # the attribute of a log record that is for the log file
PROGRESS_S = 5  # between two lines of progress for a node


def failed(host: Host, message: str) -> Literal[False]:
    """Print why this host fails; to be returned from a ``FunctionCommand``."""
    host.log_styled(message, fg="red", log_func=logger.error)
    return False


def warned(host: Host, message: str) -> None:
    """Print what a person should know of this host, though it does not fail."""
    host.log_styled(message, fg="yellow", log_func=logger.warning)


def detail(host: Host, line: str) -> None:
    """Log a line that the screen shows with ``-v`` only: see ``report.screen``."""
    host.log(line, log_func=partial(logger.info, extra={DETAIL: True}))


class Progress:
    """
    Print a line of progress now and then, so that a long step does not look like a hanging one.

    + host: where it runs
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._next = time.monotonic() + PROGRESS_S
        self._last = ""

    def show(self, message: str) -> None:
        """Print it, unless the last line is recent or the same."""
        if time.monotonic() >= self._next and message != self._last:
            self._next = time.monotonic() + PROGRESS_S
            self._last = message
            self._host.log(message)
