"""Reboot nodes that need it, as the work of a roll-out."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.boot import BootId
from facts.reboot import Reboot
from messages import rollout as messages
from messages import run as run_messages
from operations import rollout
from operations.base import Commands, HostFailure, hide, operation, plan_change, read, read_from
from runs.output import Progress, warned


@operation()
def needed(always: bool = False) -> Commands:
    """
    Find out whether this node needs a reboot, and note it for the roll-out.

    + always: it is rebooted in any case
    """
    observed = read(Reboot)
    asked = "all nodes are rebooted" if always else ""
    rollout.note(observed.reasons, asked=asked, token=observed.boot)
    host.noop("; ".join(observed.reasons) or "no reboot is needed")
    yield from ()


@operation()
def rebooted(if_needed: bool = False) -> Commands:
    """
    Reboot this node and wait for it, if the roll-out has work here.

    + if_needed: only if what was done before asks for it
    """
    here = rollout.of_run()
    if not rollout.has_work():
        hide()
        host.noop("no work here")
        return
    condition = ", if it needs that by then" if if_needed else ""
    plan_change(f"reboot this node and wait for it{condition}")
    boot = here.tokens.get(host.name)
    yield FunctionCommand(_reboot, (boot, if_needed, here.ready_seconds), {})


def _reboot(state: State, host: Host, boot: str | None, if_needed: bool, seconds: int) -> bool:
    node = remote.of(host)
    if boot and node.gather(BootId()) != boot:
        host.log("it was rebooted meanwhile")
        return True
    if if_needed:
        if not (reasons := read_from(host, Reboot).reasons):
            host.log("no reboot is needed")
            return True
        host.log(f"rebooting: {'; '.join(reasons)}")
    rollout.close_behind(state, host)
    why = node.reboot(seconds, Progress(host).show)
    if why is not None:
        raise HostFailure(run_messages.NOT_BACK(seconds=seconds, reason=why))
    if reasons := read_from(host, Reboot).reasons:
        warned(host, messages.STILL_NEEDED(reasons="; ".join(reasons)))
    return True
