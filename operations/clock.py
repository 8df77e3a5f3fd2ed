"""
The clock: certificates and tokens are worthless on a node that lives in another year.
"""

from __future__ import annotations

import time

import gevent
from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from facts.clock import Clock, ClockState
from operations import apt
from operations.base import Commands, HostFailure, declare, operation, plan_change, read, read_from
from operations.following import failed

TOLERANCE_S = 30
_LOOK_EVERY_S = 3


@operation()
def synchronised(tolerance: int = TOLERANCE_S, seconds: float = 45) -> Commands:
    """
    A service keeps the clock right, and it is right: near this computer's.

    + tolerance: how many seconds it may be away from this computer's
    + seconds: how long a clock that is far off may take to be set right (a board without a battery
      has just booted)

    Where no such service is enabled, systemd-timesyncd is; one that was stopped is started. A clock
    that is right is enough where NTP can't be reached, as in a container.

    **Example:**

    .. code:: python

        clock.synchronised(name="The clock is right, and kept right")
    """

    clock = read(Clock)
    far = is_far(clock, tolerance)
    resource = f"unit {clock.services[0] if clock.services else 'systemd-timesyncd'}.service"
    declare(resource)
    runs = bool(set(clock.services) - set(clock.stopped))
    if runs and not far:
        host.noop(f"the clock is right, and {clock.services[0]} keeps it so")
        return
    if not clock.services:
        plan_change("let systemd-timesyncd keep the clock right", resource)
    if clock.services and not runs:
        plan_change(f"start {clock.services[0]}, which keeps the clock right", resource)
    if far:
        plan_change(f"wait until its clock, {distance(clock)}, is right", "setting clock")
    if not clock.services and not clock.timesyncd:
        yield from apt.install(["systemd-timesyncd"])
    if not clock.services:
        yield StringCommand("systemctl", "enable", "--now", "systemd-timesyncd.service")
    elif not runs:
        yield StringCommand("systemctl", "restart", f"{clock.services[0]}.service")
    if far:
        yield FunctionCommand(_wait, (tolerance, seconds), {})


def _wait(state: State, host: Host, tolerance: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while True:
        clock = read_from(host, Clock)
        if abs(clock.ahead) <= tolerance:
            return True
        if time.monotonic() > end:
            return failed(
                host,
                f"its clock shows {clock.shows} UTC, {distance(clock)}, and nothing sets it "
                "right: see `timedatectl timesync-status` (NTP wants UDP port 123 to the outside), "
                "or set it by hand with `sudo date -u -s '…'`",
            )
        gevent.sleep(_LOOK_EVERY_S)


def is_far(clock: ClockState, tolerance: int = TOLERANCE_S) -> bool:
    """Whether it is off; ``HostFailure`` where it is this computer's clock that is."""
    far = abs(clock.ahead) > tolerance
    if far and clock.synchronised:
        raise HostFailure(
            f"its clock is {distance(clock)} and synchronised: set this computer's clock right"
        )
    return far


def distance(clock: ClockState) -> str:
    """How far it is from this computer's, in words."""
    size, away = abs(clock.ahead), "ahead of" if clock.ahead > 0 else "behind"
    units = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
    unit, length = next((unit for unit in units if size >= 2 * unit[1]), units[-1])
    return f"{size // length} {unit}s {away} this computer's"
