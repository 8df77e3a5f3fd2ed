"""
Reboots that are waited for.

pyinfra's ``server.reboot`` compares uptimes, which in a container are its host's, and waits ten
seconds before it looks.
"""

from __future__ import annotations

import time
from contextlib import suppress

import gevent
from pyinfra.api import FactProcessError, FunctionCommand, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from facts.boot import BootId
from operations import connection
from operations.base import Commands, read
from operations.following import Progress, failed
from operations.remote_shell import RemoteFailure, gather

SECONDS = 300  # a Pi 3 with a slow card and a file system check needs two or three minutes
_LOOK_EVERY_S = 2


def reboot_and_wait(seconds: float = SECONDS) -> Commands:
    """
    Reboot this host and go on when it is back; for use inside operations.

    + seconds: how long to wait

    Connections that go through this host end with it: its operation must not run at the same time
    as those of the hosts behind it. ``connected`` gives those new ones.
    """
    before = read(BootId)
    # Detached, so that the command has ended before the connection does.
    yield StringCommand("( sleep 1; systemctl reboot ) </dev/null >/dev/null 2>&1 &")
    yield FunctionCommand(_wait, (before, seconds), {})


def _wait(state: State, host: Host, before: str, seconds: float) -> bool:
    end = time.monotonic() + seconds
    shown = Progress(host)
    while True:
        gevent.sleep(_LOOK_EVERY_S)
        left = end - time.monotonic()
        # A few seconds at a time, to be able to say that it is still being waited for.
        reason = connection.reconnect(host, seconds=min(_LOOK_EVERY_S, left))
        if reason is None:
            with suppress(RemoteFailure, FactProcessError):  # it may be going down just now
                if gather(host, BootId()) != before:
                    return True
        if left < 0:
            why = reason or "it has not gone down"
            return failed(
                host,
                f"it was rebooted and is not back after {seconds:.0f} s ({why}): look at the "
                "board, then run this again",
            )
        shown.show(f"waiting for the reboot ({left:.0f} s left)")
