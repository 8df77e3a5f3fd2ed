"""The machine-id: nodes whose SD cards are copies share it, and then addresses too."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra import host, state

import runs
from facts.machine_id import MachineId
from messages import nodes
from operations.base import Commands, HostFailure, operation, read


class _Ids(dict[str, str]):
    """The machine-id of each host of this run that has reached the operation."""


_NEW = (
    "sudo rm -f /etc/machine-id /var/lib/dbus/machine-id && sudo systemd-machine-id-setup "
    "&& sudo reboot"
)


@operation()
def unique() -> Commands:
    """
    Check that no other host of this run has the same machine-id; every host has to reach it.

    With ``-y`` only the second clone fails; otherwise both do.
    """
    ids = runs.of(state).part(_Ids)
    ids[host.name] = read(MachineId)
    check(host.name, ids)
    host.noop("the machine-id is unique")
    yield from ()


def check(name: str, ids: Mapping[str, str]) -> None:
    """
    ``HostFailure`` if a host has no machine-id, or that of another one.

    + name: of the host
    + ids: machine-ids of all hosts read so far
    """
    own = ids[name]
    if len(own) != 32:
        raise HostFailure(nodes.NO_MACHINE_ID(value=own or "empty", command=_NEW))
    others = [each for each, other in ids.items() if other == own and each != name]
    if others:
        raise HostFailure(nodes.SAME_MACHINE_ID(others=", ".join(others), command=_NEW))
