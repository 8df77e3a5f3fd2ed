"""The steps of a run: which nodes each one is for, how it ended there, and how long it took."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from pyinfra.api.host import Host
from pyinfra.api.operation import OperationMeta
from pyinfra.api.state import BaseStateCallback, State

import runs
from remote import pyinfra_internals
from report.harmless import harmless
from runs.record import Work

Outcome = Literal["changed", "same", "failed", "planned", "waiting"]


@dataclass(frozen=True)
class Step:
    """
    One operation on one node.

    + name: as the deploy has it
    + outcome: ``changed``, ``same``, ``failed``; before it was run: ``planned`` (it would change
      something), or ``waiting`` (nothing is known, or it was never reached)
    + seconds: that it took; 0 when it was not run
    + work: its resources and changes
    """

    node: str
    name: str
    outcome: Outcome
    seconds: float
    work: Work


class Clock(BaseStateCallback):
    """How long each operation takes on each node. (pyinfra declares static what it calls on it.)"""

    def __init__(self) -> None:
        self._began: dict[tuple[str, str], float] = {}
        self.seconds: dict[tuple[str, str], float] = {}

    @harmless(None)
    def operation_host_start(self, state: State, host: Host, op_hash: str) -> None:  # type: ignore[override]
        self._began[host.name, op_hash] = time.monotonic()

    @harmless(None)
    def operation_host_success(  # type: ignore[override]
        self, state: State, host: Host, op_hash: str, retry_count: int = 0
    ) -> None:
        self._stop(host, op_hash)

    @harmless(None)
    def operation_host_error(  # type: ignore[override]
        self, state: State, host: Host, op_hash: str, retry_count: int = 0, max_retries: int = 0
    ) -> None:
        self._stop(host, op_hash)

    def _stop(self, host: Host, op_hash: str) -> None:
        key = host.name, op_hash
        self.seconds[key] = time.monotonic() - self._began.get(key, time.monotonic())


def step(state: State, clock: Clock, host: Host, op_hash: str, meta: OperationMeta) -> Step:
    """One operation on a host that it is for."""
    return Step(
        host.name,
        name(state, op_hash),
        _outcome(state, meta),
        clock.seconds.get((host.name, op_hash), 0.0),
        runs.of(state).record.of(host.name, op_hash),
    )


def of_operation(state: State, clock: Clock, op_hash: str) -> list[Step]:
    """What one operation came to, on each host that it is for, in the inventory's order; nothing
    for one that is hidden."""
    metas = [
        (host, pyinfra_internals.operation_on(state, host, op_hash)) for host in state.inventory
    ]
    found = [step(state, clock, host, op_hash, meta) for host, meta in metas if meta is not None]
    return [each for each in found if not each.work.hidden]


def all_of(state: State, clock: Clock) -> list[Step]:
    """Every step of the run, in its order."""
    return [
        each for op_hash in state.get_op_order() for each in of_operation(state, clock, op_hash)
    ]


def name(state: State, op_hash: str) -> str:
    """What the deploy calls it."""
    return " / ".join(sorted(pyinfra_internals.operation_names(state, op_hash)))


def _outcome(state: State, meta: OperationMeta) -> Outcome:
    if meta.is_complete():
        if meta.did_error():
            return "failed"
        return "changed" if meta.did_change() else "same"
    if state.is_executing or not state.should_check_for_changes():
        return "waiting"
    return "planned" if meta.will_change else "same"
