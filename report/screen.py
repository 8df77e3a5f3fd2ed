"""
What is on the screen while pyinfra works: a line for each step, with the nodes that it has changed.

pyinfra prints for each operation and each host that it did nothing. With ``-v`` all of that is
shown; without, it goes to the log file only, like the details of an operation. Everything else that
an operation prints, and every warning and error, is always shown.
"""

from __future__ import annotations

import logging
import time

import click
import gevent
from pyinfra.api.state import BaseStateCallback, State

import runs
from messages import run as messages
from remote.pyinfra_internals import Line, parse_line
from report import steps
from report.harmless import harmless
from runs.output import DETAIL

LONG_S = 1.0  # after which a step's name is shown although it has not ended
SILENT_S = 60.0  # without a line, after which the nodes that a step waits for are shown

_COLOURS = {"changed": "yellow", "failed": "red", "planned": "yellow"}
_WORDS = {"same": "ok", "planned": "to do"}


class Screen(logging.Filter, BaseStateCallback):
    """
    Decides which of pyinfra's lines are shown, and adds those of the steps.

    + state: of the run
    + clock: knows how long the steps took
    + verbose: show every line of pyinfra's, and none of the steps' (``-v``)
    """

    def __init__(self, state: State, clock: steps.Clock, verbose: bool) -> None:
        super().__init__()
        self.state = state
        self.clock = clock
        self.verbose = verbose
        self.deploys = False  # whether this run is about deploys, not a fact or an inventory
        self.prepared = False  # whether pyinfra has come through all of them
        self._table = False
        self._step: str | None = None
        self._named = False
        self._red: set[str] = set()
        self._began = self._spoke = 0.0  # when the step began, and when a line was last shown

    # --- pyinfra's lines -------------------------------------------------------------------------

    @harmless(True)
    def filter(self, record: logging.LogRecord) -> bool:
        if not isinstance(record.msg, str):
            return True
        line, host = parse_line(click.unstyle(record.getMessage()))
        self.deploys = self.deploys or line is Line.PREPARING
        self.prepared = self.prepared or line in (Line.PLAN, Line.NO_PLAN)
        if self.verbose:
            return True
        if getattr(record, DETAIL, False):
            return False
        shown = self._shows(record.levelno, line, host)
        if shown and self._step is not None:
            self._name_step()
            self._spoke = time.monotonic()
        return shown

    def _shows(self, level: int, line: Line, host: str) -> bool:
        if level >= logging.ERROR:
            return self._shows_error(line, host)
        if level != logging.INFO:
            return True
        if line in (Line.PLAN, Line.RESULTS):
            self._table = True
            if line is Line.PLAN:
                self._plan()
            return False
        if line in (Line.PREPARING, Line.HEADING):
            self._table = False
            return True
        if line in (Line.NO_PLAN, Line.BOOKKEEPING):
            self._table = False
            return False
        return not (self._table or (self._step is not None and line is Line.RESULT))

    def _shows_error(self, line: Line, host: str) -> bool:
        if line is Line.FAILED:
            if host not in self._red:  # else the reason is on the screen already
                click.secho(f"    [{host}] {messages.NO_REASON()}", fg="red", err=True)
            return False
        if host:
            self._red.add(host)
        return True

    # --- the steps -------------------------------------------------------------------------------

    @harmless(None)
    def operation_start(self, state: State, op_hash: str) -> None:  # type: ignore[override]
        self.end()
        if self.verbose:
            return
        self._step, self._named, self._red = op_hash, False, set()
        self._began = self._spoke = time.monotonic()
        gevent.spawn_later(LONG_S, self._still_at, op_hash)

    @harmless(None)
    def operation_end(self, state: State, op_hash: str) -> None:  # type: ignore[override]
        self.end()

    @harmless(None)
    def end(self) -> None:
        """Print how the present step ended; once."""
        if self._step is None:
            return
        here = steps.of_operation(self.state, self.clock, self._step)
        self._step = None
        for line in lines(here, self._hosts):
            click.echo(line, err=True)

    @property
    def _hosts(self) -> int:
        return len(self.state.activated_hosts)

    @harmless(None)
    def _still_at(self, op_hash: str) -> None:
        if self._step == op_hash:
            self._name_step()
            gevent.spawn_later(SILENT_S, self._waits, op_hash)

    @harmless(None)
    def _waits(self, op_hash: str) -> None:
        """Show which nodes a silent step waits for: not all that it waits for has a limit."""
        if self._step != op_hash:
            return
        now = time.monotonic()
        if now - self._spoke >= SILENT_S:
            self._spoke = now
            here = steps.of_operation(self.state, self.clock, op_hash)
            active = {each.name for each in self.state.active_hosts}
            waiting = [each.node for each in here if each.outcome == "waiting"]
            if names := ", ".join(node for node in waiting if node in active):
                click.echo(f"    waiting for {names} ({now - self._began:.0f} s)", err=True)
        gevent.spawn_later(SILENT_S, self._waits, op_hash)

    def _name_step(self) -> None:
        if self._step and not self._named and not runs.of(self.state).record.is_hidden(self._step):
            self._named = True
            click.secho(f"--> {steps.name(self.state, self._step)}", fg="blue", err=True)

    def _plan(self) -> None:
        """Instead of pyinfra's table, in which most rows say that nothing will change."""
        order = self.state.get_op_order()
        shown = (steps.of_operation(self.state, self.clock, operation) for operation in order)
        found = [here for here in shown if here]
        planned = [here for here in found if any(each.outcome == "planned" for each in here)]
        click.echo("--> What would change:" if planned else "--> Nothing would change", err=True)
        for here in planned:
            for line in lines(here, self._hosts):
                click.echo(line, err=True)
        if planned and len(found) > len(planned):
            click.echo(f"    {'':8} the other {len(found) - len(planned)} steps: nothing", err=True)


def lines(here: list[steps.Step], hosts: int) -> list[str]:
    """
    How one operation ended, a line for each outcome; "ok" only when it has no other.

    + here: on each host that it is for
    + hosts: how many there are in all: an operation for all of them needs no names
    """
    found = []
    for outcome in ("changed", "planned", "failed"):
        those = [each for each in here if each.outcome == outcome]
        if those:
            seconds = max(each.seconds for each in those)
            took = f" ({seconds:.1f} s)" if seconds >= 0.05 else ""
            nodes = ", ".join(each.node for each in those)
            word = click.style(f"{_WORDS.get(outcome, outcome):8}", _COLOURS[outcome])
            found.append(f"    {word} {those[0].name}: {nodes}{took}")
    if not found and any(each.outcome == "same" for each in here):
        nodes = f": {', '.join(each.node for each in here)}" if len(here) < hosts else ""
        found.append(f"    {_WORDS['same']:8} {here[0].name}{nodes}")
    return found
