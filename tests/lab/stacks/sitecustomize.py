"""
On SIGUSR1, a run prints where each of its greenlets waits, and ends; for the tests' own runs.

Python imports it at its start, from PYTHONPATH. It imports nothing of gevent's itself: pyinfra has
to patch the sockets and threads first.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def _print(_signal: int, _frame: FrameType | None) -> None:
    if "gevent" in sys.modules:
        from gevent.util import print_run_info

        print_run_info(file=sys.stderr)
        sys.stderr.flush()
    os._exit(1)


signal.signal(signal.SIGUSR1, _print)
