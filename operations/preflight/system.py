"""
The running system: its kernel's memory cgroup, its swap, its clock.
"""

from __future__ import annotations

from operations import cgroup
from operations import clock as clocks
from operations import swap as swaps
from operations.preflight.rows import Desk, Node, Verdict, known, ok, warning
from runs import lock


def memory_cgroup(node: Node, desk: Desk) -> Verdict:
    """On, or to be turned on."""
    state = known(node.found.cgroup)
    if state.memory != "off":
        return ok(f"on ({state.memory})")
    if not node.wanted.memory_cgroup:
        return ok("off, and not asked for (memory_cgroup = False)")
    path, text = cgroup.command_line(state)
    if text == state.files[path].text:
        return warning(f"off, and {path} turns it on: the run reboots this node, once")
    return warning(f"off: the run adds {cgroup.ARGUMENT} to {path}, and reboots this node, once")


def other_runs(node: Node, desk: Desk) -> Verdict:
    """None changes this node just now."""
    holder = known(node.found.run_lock)
    if lock.current().is_another(holder):
        return warning(
            f"{holder} changes this node: what is seen of it may not last, and no other run "
            "changes anything here until it has ended"
        )
    return ok("none is at work here")


def swap(node: Node, desk: Desk) -> Verdict:
    """Off, or to be turned off, wherever it comes from."""
    state = known(node.found.swap)
    sources = ", ".join(swaps.sources(state))
    if state.in_use:
        swaps.check_room(state)
    if warnings := swaps.warnings(state):
        turns_off = (
            f"on ({', '.join(state.in_use)}): the run turns it off; " if state.in_use else ""
        )
        return warning(turns_off + "; ".join(warnings))
    if state.in_use:
        by = f", turned on by {sources}" if sources else ""
        return ok(f"on ({', '.join(state.in_use)}{by}): the run turns it off permanently")
    if sources:
        return ok(f"off until the next boot ({sources}): the run turns it off permanently")
    return ok("off")


def clock(node: Node, desk: Desk) -> Verdict:
    """Near this computer's, or to be set right by its service."""
    state = known(node.found.clock)
    if clocks.is_far(state):
        return warning(
            f"{clocks.distance(state)}: the run waits for it once the network is set up; if "
            "nothing sets it right, see `timedatectl timesync-status`"
        )
    if not state.services:
        return ok("right; the run lets systemd-timesyncd keep it so")
    return ok(f"right, and {state.services[0]} keeps it so")
