"""
A look at every node before anything is changed on any of them: what is wrong, and the remedy.

Nothing is changed: one small file is written and removed again, to see how fast the card is.
"""

from __future__ import annotations

import time
from typing import Any
from weakref import WeakKeyDictionary

import gevent
from pyinfra import host, logger, state
from pyinfra.api.state import State
from pyinfra.context import ctx_host

from facts.preflight import Preflight
from operations.base import Commands, HostFailure, operation, read
from operations.preflight.judgement import judge
from operations.preflight.rows import Node, Wanted
from operations.preflight.table import COLOURS, count, table
from runs import lock

_WAIT_S = 60  # for the slowest node to be looked at, while pyinfra prepares

# What was found on the hosts of a run, and on which of them it was told.
_desks: WeakKeyDictionary[State, dict[str, Node]] = WeakKeyDictionary()
_told: WeakKeyDictionary[State, set[str]] = WeakKeyDictionary()


@operation()
def look(**wanted: Any) -> Commands:
    """
    Read all that has to be known of a node, in one remote execution; once a run.

    To be reached by every host, before ``judged``: some things show side by side alone.

    + wanted: the fields of ``operations.preflight.rows.Wanted``

    **Example:**

    .. code:: python

        preflight.look(name="Look at every node", **specifications.preflight(cluster, node))
    """

    desk = _desks.setdefault(host.state, {})
    if host.name not in desk:
        asked = Wanted(**wanted)
        found = read(
            Preflight,
            role=asked.role,
            addresses=[f"{asked.control_plane_address}:{port}" for port in asked.asked_ports],
            archives=list(asked.archives),
            registries=list(asked.registries),
            _sudo=False,
        )
        desk[host.name] = Node(host.name, asked, found)
    host.noop("looked at")
    yield from ()


@operation()
def judged(show_all: bool = False) -> Commands:
    """
    The node is fit for what the settings want of it; what is not is said, with the remedy.

    + show_all: a table of all checks, in place of those alone that are not OK

    **Example:**

    .. code:: python

        preflight.judged(name="Every node is fit for a cluster")
    """

    desk = _desks[host.state]
    if not state.is_executing:
        _wait_for_all(desk)
    _tell(desk, show_all)
    holder = desk[host.name].found.run_lock
    if holder and lock.of(state).is_another(holder) and state.is_executing and not show_all:
        lock.of(state).hold(ctx_host.get())  # it may have ended meanwhile; this run stops otherwise
    rows = judge(desk[host.name], desk)
    failures = [row for row in rows if row.status == "failure"]
    if failures:
        names = ", ".join(row.check for row in failures)
        raise HostFailure(f"not fit for a cluster yet ({names}): nothing was changed here")
    host.noop(count(rows))
    yield from ()


def _wait_for_all(desk: dict[str, Node]) -> None:
    """While pyinfra prepares, every host goes its own way; in a run they go in step by themselves.
    With fewer of them at a time than there are (``--parallel``), waiting would be for ever."""
    if state.pool.size is not None and state.pool.size < len(state.activated_hosts):
        return
    end = time.monotonic() + _WAIT_S
    while time.monotonic() < end:
        here = {each.name for each in state.activated_hosts - state.failed_hosts}
        if here <= desk.keys():
            return
        gevent.sleep(0.05)


def _tell(desk: dict[str, Node], show_all: bool) -> None:
    """Whoever comes first tells of all that were looked at, in the inventory's order."""
    told = _told.setdefault(host.state, set())
    for each in host.state.inventory:
        if each.name not in desk or each.name in told:
            continue
        told.add(each.name)
        rows = judge(desk[each.name], desk)
        if show_all:
            for line in ("", *table(desk[each.name], rows)):
                logger.info(line)
            continue
        each.log(count(rows))
        for row in rows:
            if row.status != "OK":
                each.log_styled(f"{row.status}: {row.check}: {row.words}", fg=COLOURS[row.status])
