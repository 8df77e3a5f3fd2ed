"""
What stands on the screen while pyinfra works: a line a step, with the nodes that it has changed.

pyinfra says of each operation and each host that it did nothing. With ``-v`` all of that is shown;
without, it goes to the log file alone, as what an operation calls a detail. What else an operation
says, and whatever is yellow or red, is always shown.
"""

from __future__ import annotations

import logging
import re

import click
import gevent
from pyinfra.api.state import BaseStateCallback, State

from operations.following import DETAIL
from report import steps
from report.harmless import harmless

LONG_S = 1.0  # after which a step's name is shown although it has not ended

_HOST = r"\s*\[(?P<host>[^\]]+)\]\s+"
_RESULT = re.compile(rf"{_HOST}(Success|No changes|Skipped)\s*$")
_READY = re.compile(rf"{_HOST}Ready: |Loading: ")
_ENDED = re.compile(rf"{_HOST}Error: executed \d+ commands")
_LINE = re.compile(_HOST)
_COLOURS = {"changed": "yellow", "failed": "red", "planned": "yellow"}
_WORDS = {"same": "ok", "planned": "to do"}


class Screen(logging.Filter, BaseStateCallback):
    """
    Decides which of pyinfra's lines are shown, and adds the steps' own.

    + state: of the run
    + clock: knows how long the steps took
    + all_of_it: every line of pyinfra's, and none of ours (``-v``)
    """

    def __init__(self, state: State, clock: steps.Clock, all_of_it: bool) -> None:
        super().__init__()
        self.state = state
        self.clock = clock
        self.all_of_it = all_of_it
        self.deploys = False  # whether this run is about deploys, not a fact or an inventory
        self.prepared = False  # whether pyinfra has come through all of them
        self._table = False
        self._step: str | None = None
        self._named = False
        self._red: set[str] = set()

    # --- pyinfra's lines -------------------------------------------------------------------------

    @harmless(True)
    def filter(self, record: logging.LogRecord) -> bool:
        if not isinstance(record.msg, str):
            return True
        text = click.unstyle(record.getMessage())
        if "--> Preparing operation files" in text:
            self.deploys = True
        if "--> Detected changes" in text or "--> Skipping change" in text:
            self.prepared = True
        if self.all_of_it:
            return True
        if getattr(record, DETAIL, False):
            return False
        shown = self._shows(record.levelno, text)
        if shown and self._step is not None:
            self._name_step()
        return shown

    def _shows(self, level: int, text: str) -> bool:
        if level >= logging.ERROR:
            return self._shows_error(text)
        if level != logging.INFO:
            return True
        if "-->" in text:
            return self._shows_heading(text)
        if self._table or _READY.match(text):
            return False
        return not (self._step is not None and _RESULT.match(text))

    def _shows_heading(self, text: str) -> bool:
        self._table = "Detected changes:" in text or "Results:" in text
        if "Detected changes:" in text:
            self._plan()
        return not re.search(
            "Starting (.* )?operation:|Detected changes:|Results:|Skipping change|Disconnecting",
            text,
        )

    def _shows_error(self, text: str) -> bool:
        ended = _ENDED.match(text)
        if ended and ended["host"] in self._red:
            return False  # what went wrong stands above, in words
        if ended:
            click.secho(f"    [{ended['host']}] failed, and did not say why", fg="red", err=True)
            return False
        line = _LINE.match(text)
        if line:
            self._red.add(line["host"])
        return True

    # --- our own ---------------------------------------------------------------------------------

    @harmless(None)
    def operation_start(self, state: State, op_hash: str) -> None:  # type: ignore[override]
        self.end()
        if self.all_of_it:
            return
        self._step, self._named, self._red = op_hash, False, set()
        gevent.spawn_later(LONG_S, self._still_at, op_hash)

    @harmless(None)
    def operation_end(self, state: State, op_hash: str) -> None:  # type: ignore[override]
        self.end()

    @harmless(None)
    def end(self) -> None:
        """Say what the step at work has come to; once."""
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

    def _name_step(self) -> None:
        if not self._named and self._step is not None:
            self._named = True
            click.secho(f"--> {steps.name(self.state, self._step)}", fg="blue", err=True)

    def _plan(self) -> None:
        """In pyinfra's table most rows say that nothing will change."""
        found = [steps.of_operation(self.state, self.clock, op) for op in self.state.get_op_order()]
        planned = [here for here in found if any(each.outcome == "planned" for each in here)]
        click.echo("--> What would change:" if planned else "--> Nothing would change", err=True)
        for here in planned:
            for line in lines(here, self._hosts):
                click.echo(line, err=True)
        if planned and len(found) > len(planned):
            click.echo(f"    {'':8} the other {len(found) - len(planned)} steps: nothing", err=True)


def lines(here: list[steps.Step], hosts: int) -> list[str]:
    """
    What one operation has come to, a line for each way in which it ended; that it was so already
    is said only when there is nothing else to say.

    + here: on each host that it is for
    + hosts: how many there are in all: where it is for all of them, they need no names
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
