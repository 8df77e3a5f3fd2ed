"""The clock: certificates and tokens are not valid on a node with a wrong clock."""

from __future__ import annotations

import time

import gevent
from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from facts.clock import Clock, ClockState
from messages import nodes
from operations.base import Commands, HostFailure, declare, operation, plan_change, read, read_from
from operations.packages import apt
from runs.output import failed

TOLERANCE_S = 30  # difference from this computer's clock
_WAIT_S = 45  # for a wrong clock: a board without a battery has just booted
_CHECK_EVERY_S = 3


@operation()
def synchronized() -> Commands:
    """
    Enable a service that synchronizes the clock, and wait until the clock is right.

    If no such service is enabled, systemd-timesyncd is; a stopped one is started. The clock is
    compared with this computer's: where NTP cannot be reached, as in a container, a right clock is
    enough.
    """
    clock = read(Clock)
    far = is_far(clock)
    resource = f"unit {clock.services[0] if clock.services else 'systemd-timesyncd'}.service"
    declare(resource)
    runs = bool(set(clock.services) - set(clock.stopped))
    if runs and not far:
        host.noop(f"the clock is right, and {clock.services[0]} synchronizes it")
        return
    if not clock.services:
        plan_change("enable systemd-timesyncd", resource)
    if clock.services and not runs:
        plan_change(f"start {clock.services[0]}, which synchronizes the clock", resource)
    installs = not clock.services and not clock.timesyncd
    if installs:
        apt.expect(["systemd-timesyncd"])
    if far:
        plan_change(f"wait until the clock, {distance(clock)}, is right", "setting clock")
    if installs:
        yield from apt.install(["systemd-timesyncd"])
    if not clock.services:
        yield StringCommand("systemctl", "enable", "--now", "systemd-timesyncd.service")
    elif not runs:
        yield StringCommand("systemctl", "restart", f"{clock.services[0]}.service")
    if far:
        yield FunctionCommand(_wait, (), {})


def _wait(state: State, host: Host) -> bool:
    end = time.monotonic() + _WAIT_S
    while True:
        clock = read_from(host, Clock)
        if abs(clock.ahead) <= TOLERANCE_S:
            return True
        if time.monotonic() > end:
            wrong = nodes.CLOCK_WRONG(shown=clock.shows, distance=distance(clock))
            return failed(host, wrong)
        gevent.sleep(_CHECK_EVERY_S)


def is_far(clock: ClockState) -> bool:
    """Whether the clock is wrong; ``HostFailure`` if it is this computer's clock that is."""
    far = abs(clock.ahead) > TOLERANCE_S
    if far and clock.synchronized:
        raise HostFailure(nodes.CLOCK_HERE_WRONG(distance=distance(clock)))
    return far


def distance(clock: ClockState) -> str:
    """Describe the difference from this computer's clock."""
    size, away = abs(clock.ahead), "ahead of" if clock.ahead > 0 else "behind"
    units = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
    unit, length = next((unit for unit in units if size >= 2 * unit[1]), units[-1])
    return f"{size // length} {unit}s {away} this computer's"
