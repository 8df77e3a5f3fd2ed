"""
Back to the network before the last confirmed change: a change like any other, with its guard.
"""

from __future__ import annotations

import re
from typing import Literal
from weakref import WeakKeyDictionary

from pyinfra import host
from pyinfra.api.state import State

from facts.guard import FOLDER, Guard
from facts.iptables import Iptables
from operations import guard
from operations.base import Commands, HostFailure, diff, plan_change, read
from operations.guard import Step

# Whether the gateway did NAT when the run began: its own undo changes that.
_nat_at_first: WeakKeyDictionary[State, bool] = WeakKeyDictionary()


@guard.operation
def last_change(turn: Literal["first", "last"] | None = None) -> Commands:
    """
    A node's interfaces, rules, nameservers as they were before its last confirmed change.

    What it undoes is kept in its stead: a second call does the change again.

    + turn: for the node that does NAT for the others, which is called before them (``first``) and
      after them (``last``): their change is confirmed only if they still resolve names. A node
      that does NAT now is changed after them, one that does not (yet, or any more) before them.
      None: for all other nodes

    **Example:**

    .. code:: python

        undo.last_change(name="The network as it was before the last change")
    """

    if turn is not None and (turn == "last") != _did_nat():
        host.noop(f"changed {'after' if turn == 'first' else 'before'} the workers")
        return
    now = read(Guard)
    if now.unconfirmed:
        raise HostFailure(
            f"a change of {now.unconfirmed}, which nobody confirmed, is going back: run this "
            "again in a minute (or reboot the node: then it goes back at once)"
        )
    if not now.what:
        host.noop("no change of its network is kept that could be undone")
        return
    plan_change(f"undo the change of {now.what} of {now.when}")
    for each in now.files:
        if each.before != each.now:
            diff(each.path, each.now, each.before, each.secret)
    yield Step(
        "sh",
        f"{FOLDER}/guard.sh",
        "put-back",
        FOLDER,
        what=now.what,
        paths=[each.path for each in now.files],
        live=now.live.strip(),
        interface=now.interfaces,
        prefix=now.prefixes,
        reach=now.former,
        undoes=True,
    )


def _did_nat() -> bool:
    """Whether this node did NAT when it was first asked for in this run."""
    if host.state not in _nat_at_first:
        rules = read(Iptables, unit="", paths=[]).rules
        found = re.search(r"(?m)^-A BRAMBLE-POSTROUTING .*-j MASQUERADE", rules)
        _nat_at_first[host.state] = found is not None
    return _nat_at_first[host.state]
