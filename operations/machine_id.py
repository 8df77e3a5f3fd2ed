"""
The machine's id: cards that are copies of one another share it, and then the nodes' addresses on
flannel's network, their DHCP leases, and their journals.
"""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakKeyDictionary

from pyinfra import host
from pyinfra.api.state import State

from facts.machine_id import MachineId
from operations.base import Commands, HostFailure, operation, read

# Which host of this run has which id: each host that reaches the operation enters its own.
_seen: WeakKeyDictionary[State, dict[str, str]] = WeakKeyDictionary()

_NEW = (
    "sudo rm -f /etc/machine-id /var/lib/dbus/machine-id && sudo systemd-machine-id-setup "
    "&& sudo reboot"
)


@operation()
def unique() -> Commands:
    """
    No other host of this run has the same machine-id. To be reached by all of them.

    Of two copies the one that answers last is refused; both are when the run prepares its hosts
    before it changes them (pyinfra's ``-y`` leaves that out).

    **Example:**

    .. code:: python

        machine_id.unique(name="No card is a copy of another one")
    """

    ids = _seen.setdefault(host.state, {})
    ids[host.name] = read(MachineId)
    check(host.name, ids)
    host.noop("the machine-id is its own")
    yield from ()


def check(name: str, ids: Mapping[str, str]) -> None:
    """
    ``HostFailure`` where a host has no machine-id, or that of another one.

    + name: the host's
    + ids: of all hosts that are known so far
    """
    own = ids[name]
    if len(own) != 32:
        raise HostFailure(f"its /etc/machine-id is {own or 'empty'!r}: make one with `{_NEW}`")
    twins = [each for each, other in ids.items() if other == own and each != name]
    if twins:
        raise HostFailure(
            f"it has the machine-id of {', '.join(twins)} (is its card a copy?): make a new one "
            f"with `{_NEW}`, then run this again"
        )
