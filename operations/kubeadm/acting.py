"""Which one of several control planes a run asks about the cluster, and tells what to do."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol, TypeVar

from gevent.lock import RLock
from pyinfra import inventory, state
from pyinfra.api import FactProcessError

import remote
import runs
from facts.livez import Livez
from remote.failures import RemoteFailure


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
