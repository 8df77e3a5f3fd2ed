"""Reboot nodes that need it, as the work of a roll-out."""

from __future__ import annotations

from pyinfra import host, logger
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.reboot import Reboot
from messages import rollout as messages
from messages import run as run_messages
from operations import rollout
from operations.base import Commands, HostFailure, operation, plan_change, read, read_from
from runs.output import Progress

# A Pi 3 with a slow card and a file system check needs two or three minutes.
REBOOT_S = 300


@operation()
def needed(always: bool = False) -> Commands:
    """
    Find out whether this node needs a reboot, and note it for the roll-out.

    + always: it is rebooted in any case
    """
    reasons = read(Reboot).reasons
    rollout.note(reasons or (["reboot it"] if always else []))
    host.noop("; ".join(reasons) or "no reboot is needed")
    yield from ()


@operation()
def rebooted() -> Commands:
    """Reboot this node and wait for it, if the roll-out has work here."""
    if not rollout.has_work():
        host.noop("no work here")
        return
    plan_change("reboot this node and wait for it")
    yield FunctionCommand(_reboot, (), {})


def _reboot(state: State, host: Host) -> bool:
    why = remote.of(host).reboot(REBOOT_S, Progress(host).show)
    if why is not None:
        raise HostFailure(run_messages.NOT_BACK(seconds=REBOOT_S, reason=why))
    if reasons := read_from(host, Reboot).reasons:
        warning = messages.STILL_NEEDED(reasons="; ".join(reasons))
        host.log_styled(warning, fg="yellow", log_func=logger.warning)
    return True
