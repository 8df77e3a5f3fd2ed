"""
Changes that could cut the connection: made by the node, and taken back by it unless confirmed.

An operation that is dangerous is declared with ``guard.operation``, and yields ``Step`` for what
could cut: it is staged, not run. The ``guard.change`` around operations of one node that belong
together is their one transaction; an operation outside of any is one by itself. When it is left,
the node keeps what is there now, sets a timer, makes the change, and is asked for a confirmation
over a new connection (``transaction.py``). Without one it goes back. docs/network-guard.md tells
it with a drawing; what runs on the node is ``guard.sh``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec

from pyinfra import host, state
from pyinfra.api import FunctionCommand, StringCommand
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from operations import base
from operations.base import Commands
from operations.guard import transaction
from operations.guard.step import Step

__all__ = ["Step", "change", "keeping", "operation", "staged_text"]

P = ParamSpec("P")

SECONDS = 60.0

# By host: how deep in changes its deploy is, whether one of them has something to do (known while
# pyinfra prepares), and what was staged for the next one (while it runs).
_depth: dict[str, int] = {}
_planned: set[str] = set()
_staged: dict[str, list[Step]] = {}


@contextmanager
def change(name: str, seconds: float = SECONDS) -> Iterator[None]:
    """
    The dangerous operations inside are one change, with one confirmation at the end.

    Nested, the outermost counts. Whatever else stands inside is run where it stands, before it.
    It costs nothing when nothing was staged.

    + name: of the confirmation, as the run shows it
    + seconds: after which the node goes back by itself

    **Example:**

    .. code:: python

        with guard.change("The network, confirmed or taken back"):
            interfaces.interface(interface="eth0", address="192.168.2.12/24")
            resolv_conf.resolver(nameservers=["192.168.2.1"])
    """

    _depth[host.name] = _depth.get(host.name, 0) + 1
    try:
        yield
    finally:
        _depth[host.name] -= 1
    if not _depth[host.name]:
        _settle(name=name, seconds=seconds)


def operation(function: Callable[P, Commands]) -> Any:
    """``base.operation`` for one that could cut the connection."""

    @wraps(function)
    def stages(*args: P.args, **kwargs: P.kwargs) -> Commands:
        for command in function(*args, **kwargs):
            _planned.add(host.name)
            if isinstance(command, Step):
                yield FunctionCommand(_stage, (command,), {})
            else:
                yield command

    plain = base.operation()(stages)

    @wraps(plain)
    def called(*args: Any, **kwargs: Any) -> Any:
        title = kwargs.get("name", f"{function.__module__}.{function.__name__}")
        with change(f"{title}: confirmed or taken back"):
            return plain(*args, **kwargs)

    return called


def keeping(
    commands: Iterable[PyinfraCommand | str], *paths: str, what: str, network: bool = True
) -> Iterator[Step]:
    """
    Commands that write to these paths, as steps.

    + what, network: as in ``Step``
    """
    for command in commands:
        assert isinstance(command, StringCommand), command
        yield Step.of(command, what=what, paths=paths, network=network)


def staged_text(path: str) -> str | None:
    """What a file will hold after this host's change that is under way; None: as it is."""
    steps = _staged.get(host.name, [])
    return next((step.text for step in reversed(steps) if path in step.paths), None)


def _stage(state: State, host: Host, step: Step) -> bool:
    _staged.setdefault(host.name, []).append(step)
    return True


@base.operation()
def _settle(seconds: float) -> Commands:
    """Make what was staged, and see that the node can be reached as it should be."""
    steps = _staged.pop(host.name, [])
    planned = host.name in _planned
    _planned.discard(host.name)
    if not steps and not (planned and not state.is_executing):
        host.noop("nothing to confirm")
        return
    base.plan_change("confirm this over a new connection, or have the node take it back")
    yield FunctionCommand(_make, (steps, seconds), {})


def _make(state: State, host: Host, steps: Sequence[Step], seconds: float) -> bool:
    return transaction.make(host, steps, seconds)
