"""Undo the last confirmed change of the network, as a guarded change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pyinfra import host, state

import runs
from facts.guard import FOLDER, Guard, GuardState
from facts.iptables import Iptables
from formats import node_record
from messages import network
from operations import guard
from operations.base import Commands, HostFailure, declare_entry, diff, plan_change, read
from operations.guard import Step


class _Gateway:
    """Whether the gateway did NAT when the run began: its own undo changes that."""

    did_nat: bool | None = None


@guard.operation
def last_change(turn: Literal["first", "last"] | None = None) -> Commands:
    """
    Restore interfaces, iptables rules and name servers to before the last confirmed change.

    The state that it replaces is saved: a second call restores that.

    + turn: for the gateway, which is called before the other nodes (``first``) and after them
      (``last``), since their change is confirmed only if they still resolve names. A gateway that
      does NAT now is changed after them, one that does not is changed before. None: other nodes
    """
    if turn is not None and (turn == "last") != _did_nat():
        host.noop(f"changed {'after' if turn == 'first' else 'before'} the other nodes")
        return
    now = read(Guard)
    if now.pending:
        raise HostFailure(network.CHANGE_PENDING(change=now.pending))
    if not now.what:
        host.noop("there is no change to undo")
        return
    plan_change(f"undo the change of {now.what} of {now.when}", *_returning(now))
    for each in now.files:
        if each.before != each.now:
            diff(each.path, each.now, each.before, each.secret)
    yield Step(
        "sh",
        f"{FOLDER}/guard.sh",
        "restore",
        FOLDER,
        what=now.what,
        paths=[each.path for each in now.files],
        reload=now.reload.strip(),
        interface=now.interfaces,
        prefix=now.prefixes,
        new_address=now.address,
        is_undo=True,
    )


def _returning(now: GuardState) -> Iterator[str]:
    """Declare what the change removed, so that the record has it again."""
    if now.entries:
        for resource, entry in node_record.parse(now.entries).entries.items():
            declare_entry(resource, entry)
            yield resource


def _did_nat() -> bool:
    """Whether this node did NAT when it was first asked in this run."""
    gateway = runs.of(state).part(_Gateway)
    if gateway.did_nat is None:
        rules = read(Iptables, unit="", paths=[]).rules
        found = re.search(r"(?m)^-A BRAMBLE-POSTROUTING .*-j MASQUERADE", rules)
        gateway.did_nat = found is not None
    return gateway.did_nat
