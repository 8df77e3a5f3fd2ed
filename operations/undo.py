"""
Back to the network before the last confirmed change: a change like any other, with its guard.
"""

from __future__ import annotations

from pyinfra import host

from facts.guard import FOLDER, Guard
from operations import guard
from operations.base import Commands, Refused, diff, read, tell
from operations.guard import Step


@guard.operation
def last_change() -> Commands:
    """
    A node's interfaces, rules, nameservers as they were before its last confirmed change.

    What it undoes is kept in its stead: a second call does the change again.

    **Example:**

    .. code:: python

        undo.last_change(name="The network as it was before the last change")
    """

    now = read(Guard)
    if now.unconfirmed:
        raise Refused(
            f"a change of {now.unconfirmed}, which nobody confirmed, is going back: run this "
            "again in a minute (or reboot the node: then it goes back at once)"
        )
    if not now.what:
        host.noop("no change of its network is kept that could be undone")
        return
    tell(f"undo the change of {now.what} of {now.when}")
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
