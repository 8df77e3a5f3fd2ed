"""
Network changes that the node itself rolls back unless they are confirmed.

An operation that could cut the connection is declared with ``guard.operation`` and yields ``Step``
for the commands that could: they are staged, not run. All that is staged for a node inside
``guard.change`` is one change; an operation outside of it is one by itself. At its end, the node
saves its state, starts a timer and applies the change; ``transaction`` confirms it over a new
connection. Without that confirmation the node restores its state. docs/network-guard.md has a
drawing; ``guard.sh`` runs on the node.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec

from pyinfra import host, state
from pyinfra.api import FunctionCommand, StringCommand
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import runs
from operations import base
from operations.base import Commands
from operations.guard import transaction
from operations.guard.step import Step

__all__ = ["Step", "after_others", "as_steps", "change", "operation"]

P = ParamSpec("P")

SECONDS = 60.0


class _Changes:
    """
    The changes of a run, by host.

    + depth: nesting of ``change`` while its deploy is loaded
    + planned: hosts with an operation that has something to do (known in prepare)
    + waiting: those of them whose change waits for the other nodes
    + staged: the steps of the next change (in execute)
    """

    def __init__(self) -> None:
        self.depth: Counter[str] = Counter()
        self.planned: set[str] = set()
        self.waiting: set[str] = set()
        self.staged: dict[str, list[Step]] = defaultdict(list)


def _changes() -> _Changes:
    return runs.current().part(_Changes)


@contextmanager
def change(name: str, seconds: float = SECONDS) -> Iterator[None]:
    """
    Apply what the guarded operations inside have staged as one change, with one confirmation.

    If nested, the outermost counts. Other operations inside run at their own place, before the
    change. It costs nothing when nothing was staged.

    + name: of the step that applies and confirms
    + seconds: after which the node rolls back
    """
    depth = _changes().depth
    depth[host.name] += 1
    try:
        yield
    finally:
        depth[host.name] -= 1
    if not depth[host.name]:
        _apply_staged(name=name, seconds=seconds)


def operation(function: Callable[P, Commands]) -> Any:
    """Declare an operation that could cut the connection, as ``base.operation`` does."""

    @wraps(function)
    def stages(*args: P.args, **kwargs: P.kwargs) -> Commands:
        base.mark_guarded()
        for command in function(*args, **kwargs):
            _changes().planned.add(host.name)
            if isinstance(command, Step):
                if command.after_others:
                    _changes().waiting.add(host.name)
                yield FunctionCommand(_stage, (command,), {})
            else:
                yield command

    plain = base.operation()(stages)

    @wraps(plain)
    def called(*args: Any, **kwargs: Any) -> Any:
        title = kwargs.get("name", f"{function.__module__}.{function.__name__}")
        with change(f"{title}: apply and confirm"):
            return plain(*args, **kwargs)

    return called


def as_steps(
    commands: Iterable[PyinfraCommand | str], *paths: str, what: str, network: bool = True
) -> Iterator[Step]:
    """
    Turn commands that write to these paths into steps.

    + what, network: as in ``Step``
    """
    for command in commands:
        assert isinstance(command, StringCommand), command
        yield Step.of(command, what=what, paths=paths, network=network)


def _stage(state: State, host: Host, step: Step) -> bool:
    _changes().staged[host.name].append(step)
    return True


@base.operation()
def _apply_staged(seconds: float) -> Commands:
    """Apply and confirm what was staged, unless it waits for the other nodes."""
    if host.name in _changes().waiting:
        base.hide()
        host.noop("the other nodes come first")
        return
    yield from _applied(seconds)


@base.operation()
def after_others(seconds: float = SECONDS) -> Commands:
    """
    Apply and confirm the changes that wait until the other nodes no longer need what they remove.

    + seconds: after which the node rolls back
    """
    if host.name in _changes().waiting and (failed := [each.name for each in state.failed_hosts]):
        raise base.dependency_failed(failed[0])
    _changes().waiting.discard(host.name)
    yield from _applied(seconds)


def _applied(seconds: float) -> Commands:
    changes = _changes()
    steps = changes.staged.pop(host.name, [])
    planned = host.name in changes.planned
    changes.planned.discard(host.name)
    if not steps and not (planned and not state.is_executing):
        base.hide()
        host.noop("nothing to confirm")
        return
    base.plan_change("confirm the change over a new connection, or roll it back")
    yield FunctionCommand(_apply, (steps, seconds), {})


def _apply(state: State, host: Host, steps: Sequence[Step], seconds: float) -> bool:
    """Apply changes of the network, then those of access, which deploys/undo.py must not undo."""
    network = [step for step in steps if step.network]
    access = [step for step in steps if not step.network]
    return all(transaction.apply(host, part, seconds) for part in (network, access) if part)
