"""
What stands last on the screen: what the run has come to on each node, and what to do next.

pyinfra says it where it happens, and a hundred lines later counts operations: a host that was not
reached is in none of them.
"""

from __future__ import annotations

import atexit
import os
import time
from pathlib import Path

import click
from pyinfra import logger
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_state
from rich.console import Console
from rich.table import Table

from operations import record
from report import interrupt, result, steps
from report.harmless import first_trouble, harmless
from report.logs import Log
from report.screen import Screen

UNREACHED = (
    "was not reached (its red line above says why). Is it on, its cable in, its address in "
    "inventory.py right? Does it know your key (README, The first contact)? Then run this again"
)
FAILED = "is not as it should be: its red lines above say why. The next run goes on from there"
SLOW_S = 1.0  # a step that took longer may be among the slowest
_SLOWEST = 3


class Run:
    """This run of pyinfra: what is shown of it, kept of it, and said at its end."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.clock = steps.Clock()
        self.log = Log()
        if self.log.path is not None:
            record.logs_to(str(self.log.path))
        self.screen = Screen(state, self.clock, all_of_it=state.print_noop_info)
        self._began = time.monotonic()
        self._listens = False

    def filter(self, _: object) -> bool:
        """pyinfra takes handlers only after this configuration: before its first line on hosts."""
        self._listen()
        return True

    @harmless(None)
    def _listen(self) -> None:
        if self.state.initialised and not self._listens:
            self._listens = True
            self.state.add_callback_handler(self.clock)
            self.state.add_callback_handler(self.screen)

    # --- the end ---------------------------------------------------------------------------------

    def end(self) -> None:
        """What there is to say, each part whether or not another one could be said."""
        if not self.state.initialised:
            return
        if interrupt.came():
            self._write()
            return  # what was done is told above, and no count of it says what was not
        self.screen.end()
        self._write()
        if self.screen.deploys:
            self._show()
        trouble = first_trouble()
        if trouble is not None:
            click.echo(f"(The summary is not whole, the run is: {trouble})", err=True)
        for host in sorted(self.state.failed_hosts, key=lambda host: host.name):
            click.secho(f"{host.name} {self._what_to_do(host)}", fg="red", err=True)

    def _what_to_do(self, host: Host) -> str:
        if host.name == "@local":
            return "(this computer): the red lines above say what was not done, and why"
        return FAILED if host in self.state.activated_hosts else UNREACHED

    @harmless(None)
    def _write(self) -> None:
        path = os.environ.get(result.VARIABLE)
        if path:
            result.write(Path(path), self.result())

    def result(self) -> result.Result:
        """The run as data."""
        found = [
            result.Step(
                each.node,
                each.name,
                each.outcome,
                round(each.seconds, 3),
                each.work.resources,
                each.work.changes,
            )
            for each in steps.all_of(self.state, self.clock)
        ]
        failed = sorted(host.name for host in self.state.failed_hosts)
        return result.Result(self._nodes(), failed, [line for _, line in self.log.errors], found)

    def _nodes(self) -> list[str]:
        return [host.name for host in self.state.inventory if self.state.is_host_in_limit(host)]

    @harmless(None)
    def _show(self) -> None:
        out = Console(stderr=True, highlight=False, soft_wrap=True)
        all_steps = steps.all_of(self.state, self.clock)
        if not all_steps:
            if self.screen.prepared and not self.state.failed_hosts:
                out.print("Nothing to do here: as it is set up, no step is for any of these nodes")
            return
        out.print()
        out.print(self._table(all_steps))
        self._show_slowest(out, all_steps)
        if self.log.path is not None:
            seconds = time.monotonic() - self._began
            out.print(f"{seconds:.0f} s in all. Every line that pyinfra said: {self.log.path}")
        if not self.state.failed_hosts:
            self._show_next(out, all_steps)

    def _table(self, all_steps: list[steps.Step]) -> Table:
        ran = self.state.is_executing
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("node")
        for column in ("changed", "unchanged", "failed", "seconds") if ran else ("to do", "done"):
            table.add_column(column, justify="right")
        for name in self._nodes():
            here = [each for each in all_steps if each.node == name]
            if not here:
                reached = any(host.name == name for host in self.state.activated_hosts)
                table.add_row(
                    name,
                    "no steps here" if reached else "not reached",
                    style=None if reached else "red",
                )
                continue
            counts = [sum(each.outcome == word for each in here) for word in _columns(ran)]
            failed = any(host.name == name for host in self.state.failed_hosts)
            if ran:
                counts[-1] = max(counts[-1], int(failed))
            cells = [str(count) for count in counts]
            seconds = [f"{sum(each.seconds for each in here):.1f}"] if ran else []
            style = "red" if failed else "green" if counts[0] == 0 else "yellow"
            table.add_row(name, *cells, *seconds, style=style)
        return table

    def _show_slowest(self, out: Console, all_steps: list[steps.Step]) -> None:
        longest: dict[str, float] = {}
        for each in all_steps:
            longest[each.name] = max(longest.get(each.name, 0.0), each.seconds)
        slow = sorted(longest.items(), key=lambda item: -item[1])[:_SLOWEST]
        slow = [(name, seconds) for name, seconds in slow if seconds >= SLOW_S]
        if slow:
            out.print(
                "Slowest: " + "; ".join(f"{name} ({seconds:.0f} s)" for name, seconds in slow)
            )

    def _show_next(self, out: Console, all_steps: list[steps.Step]) -> None:
        if not self.state.is_executing:
            planned = any(each.outcome == "planned" for each in all_steps)
            out.print(
                "Nothing was changed. Next: the same without --dry"
                if planned
                else "All is as it shall be: there is nothing to do"
            )
            return
        if all(each.outcome == "same" for each in all_steps):
            out.print("All was as it shall be: nothing was changed")
        for command in record.suggestions():
            out.print(f"Next: {command}")


def _columns(ran: bool) -> tuple[str, ...]:
    return ("changed", "same", "failed") if ran else ("planned", "same")


@harmless(None)
def announce() -> None:
    """
    Have a run shown as people like to see it; once, from pyinfra's configuration.

    With ``-v`` and more pyinfra's own lines stay on the screen, all of them.
    """

    state = ctx_state.get()
    run = Run(state)
    logger.addFilter(run.filter)
    logger.handlers.insert(0, run.log)
    for handler in logger.handlers[1:]:
        handler.addFilter(run.screen)
    atexit.register(run.end)
