"""Which one of several control planes a run asks about the cluster, and what it answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol, TypeVar

import gevent
from gevent.lock import RLock
from pyinfra import inventory, state
from pyinfra.api import FactProcessError
from pyinfra.api.host import Host

import remote
import runs
from facts.kubectl import ClusterObjects, Objects
from facts.livez import Livez
from messages import kubernetes as messages
from operations.base import HostFailure, read_from
from remote.failures import RemoteFailure
from runs import gathering

API_S = 60  # for an API server that is starting
_PAUSE_S = 2


class _Named(Protocol):
    @property
    def name(self) -> str: ...


Plane = TypeVar("Plane", bound=_Named)


class _Found:
    """Its name; "": none was looked for yet."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.name = ""


def acting(control_planes: Sequence[Plane]) -> Plane:
    """
    Return the first control plane whose API server is well; without one the first that answers.

    A single one is not asked. The others are before the run changes them, and once.

    + control_planes: of the settings, in their order; without one that the run removes
    """
    by_name = {each.name: each for each in control_planes}
    if len(by_name) == 1:
        return control_planes[0]
    found = runs.of(state).part(_Found)
    with found.lock:  # deploys are loaded for all hosts at once
        if found.name not in by_name:
            found.name = _find(list(by_name))
        return by_name[found.name]


def _find(names: Sequence[str]) -> str:
    gone = {each.name for each in state.failed_hosts}
    here = [name for name in names if name not in gone]
    for name in here:
        with suppress(RemoteFailure, FactProcessError):
            if not remote.of(inventory.get_host(name)).gather(Livez()):
                return name
    return next(iter(here), names[0])


def objects(control_plane: Host, names: Sequence[str], seconds: int = API_S) -> ClusterObjects:
    """
    Return objects of the cluster.

    + names: as for the fact ``Objects``
    + seconds: for an API server that is starting

    ``HostFailure``: it does not answer.
    """
    observed = read_from(control_plane, Objects, names=list(names))
    end = time.monotonic() + seconds
    while not observed.answers and not gathering.of(state).is_asking:
        missing = "not found" in observed.why or "no such file" in observed.why
        if missing or time.monotonic() > end:
            raise HostFailure(messages.API_NOT_ANSWERING(reason=observed.why))
        gevent.sleep(_PAUSE_S)
        observed = remote.of(control_plane).gather(Objects(), list(names))
    return observed
