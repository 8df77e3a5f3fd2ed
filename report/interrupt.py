"""
Ctrl-C: the run ends at once with status 1, and says that not all steps were run.

pyinfra's own handler ends it with status 0. What runs on a node at that moment continues there, or
is rolled back (a change of the network), as when the operator's computer loses its power.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

import gevent
import greenlet
from paramiko import Transport

import runs
from messages import run as messages
from remote import pyinfra_internals
from report.harmless import harmless


@harmless(None)
def install() -> None:
    """Called once, from config.py: pyinfra has set its own handler by then."""
    signal.signal(signal.SIGINT, _interrupted)


def _interrupted(_signal: int, _frame: FrameType | None) -> None:
    """
    Python runs it in whichever greenlet is at work, and SystemExit in one of paramiko's ends its
    connection only: so it is raised in the main one.
    """
    runs.current().interrupted = True
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C waits for nothing
    pyinfra_internals.skip_disconnect()  # remote.connection closes what is open
    end = SystemExit(f"\n{messages.INTERRUPTED()}")
    hub = gevent.get_hub()
    here, main = greenlet.getcurrent(), hub.parent
    if main is None or here is main:
        raise end
    hub.loop.run_callback(main.throw, end)
    # One that asks a question, or works on a file, holds up all others until it ends.
    if here is not hub and not isinstance(threading.current_thread(), Transport):
        raise gevent.GreenletExit
