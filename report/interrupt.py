"""
Ctrl-C: the run ends at once, with status 1, and says that not all was done.

pyinfra's own handler ends it with status 0. What runs on a node at that moment goes on there, or
goes back by itself (a change of the network), as when the operator's computer loses its power.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

import gevent
import greenlet
import pyinfra_cli.cli as _cli
from paramiko import Transport

from report.harmless import harmless

SAID = "\nInterrupted: not all was done. Run the same command again"

_came = False


def came() -> bool:
    """Whether the run was interrupted."""
    return _came


@harmless(None)
def announce() -> None:
    """Once, from pyinfra's configuration: then pyinfra has set its own handler already."""
    signal.signal(signal.SIGINT, _interrupted)


def _interrupted(_signal: int, _frame: FrameType | None) -> None:
    """
    Python runs it in whichever greenlet is at work, and one that ends by SystemExit is not always
    the end of the program (paramiko's only lose their connection): it is the main one that ends.
    """
    global _came
    _came = True
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C waits for nothing
    # It waits for a place in a pool that is full of commands which nobody waits for any more.
    # operations.connection closes what is open.
    _cli.disconnect_all = lambda state: None
    hub = gevent.get_hub()
    here, main = greenlet.getcurrent(), hub.parent
    if main is None or here is main:
        raise SystemExit(SAID)
    hub.loop.run_callback(main.throw, SystemExit(SAID))
    # One that asks a question, or works on a file, holds up all others until it ends.
    if here is not hub and not isinstance(threading.current_thread(), Transport):
        raise gevent.GreenletExit
