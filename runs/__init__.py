"""
The state of one run of pyinfra: ``runs.of(state)`` returns its ``Run``.

It is an attribute of pyinfra's ``State``, so it begins and ends with the run. A module with
state of its own declares a class for it and calls ``runs.of(state).part(THAT_CLASS)``: no module
has globals that change during a run.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pyinfra.api.state import State
from pyinfra.context import ctx_state

from runs.record import Record

T = TypeVar("T")

_ATTRIBUTE = "bramble_run"


class Run:
    """
    One run of pyinfra.

    + record: what each operation does on each node
    + next_commands: commands to suggest after a successful run
    + log_path: of the file that holds every line, tracebacks included; None: there is none
    + stopped: why no operation does anything any more, on any node; None: they do
    + interrupted: whether Ctrl-C came
    + reporting_errors: what went wrong while the run was shown
    """

    def __init__(self) -> None:
        self.record = Record()
        self.next_commands: list[str] = []
        self.log_path: str | None = None
        self.stopped: str | None = None
        self.interrupted = False
        self.reporting_errors: list[str] = []
        self._parts: dict[type[Any], Any] = {}

    def part(self, kind: type[T]) -> T:
        """
        The state that a module keeps for this run, made at the first call.

        + kind: its class, which can be made without arguments
        """
        if kind not in self._parts:
            self._parts[kind] = kind()
        found: T = self._parts[kind]
        return found

    def suggest(self, command: str) -> None:
        """Suggest a command for after the run."""
        if command not in self.next_commands:
            self.next_commands.append(command)


def of(state: State) -> Run:
    """The run of a pyinfra ``State``."""
    found = getattr(state, _ATTRIBUTE, None)
    if not isinstance(found, Run):
        found = Run()
        setattr(state, _ATTRIBUTE, found)
    return found


def current() -> Run:
    """Return the run of this process; outside of pyinfra, a new one."""
    state = ctx_state.get()
    return of(state) if state is not None else Run()
