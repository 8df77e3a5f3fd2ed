"""
The end of a run: a table of the nodes, and what to do next.

pyinfra prints a failure where it happens, and a hundred lines later counts operations, among which
an unreachable host has none.
"""

from __future__ import annotations

import atexit
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pyinfra import logger
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_state

import runs
from messages import run as messages
from remote import pyinfra_internals
from report import result, steps
from report.harmless import harmless
from report.logs import Log
from report.screen import Screen

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_CONTINUE = "Correct what its red lines above say, then run the same command again."
_MATCH = "all nodes match their configuration"
SLOW_S = 1.0  # a step that took longer may be among the slowest
_SLOWEST = 3


class Report:
    """What is shown of this run of pyinfra, kept of it, and printed at its end."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.clock = steps.Clock()
        self.log = Log()
        if self.log.path is not None:
            runs.of(state).log_path = str(self.log.path)
        self.screen = Screen(state, self.clock, verbose=state.print_noop_info)
        self._began = time.monotonic()
        self._listens = False

    def filter(self, _: object) -> bool:
        """pyinfra takes callbacks only after config.py: before its first line about hosts."""
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
        """Print the summary, each part whether or not another one failed."""
        if not self.state.initialised:
            return
        if runs.of(self.state).interrupted:
            self._write()
            return  # counts of what was done would hide what was not
        self.screen.end()
        self._write()
        if self.screen.deploys:
            self._show()
        for error in runs.of(self.state).reporting_errors[:1]:
            click.echo(messages.SUMMARY_INCOMPLETE(error=error), err=True)
        for host in sorted(self.state.failed_hosts, key=lambda host: host.name):
            click.secho(self._ending(host), fg="red", err=True)

    def _ending(self, host: Host) -> str:
        if host not in self.state.activated_hosts:
            above = pyinfra_internals.jump(host)
            gone = self.state.failed_hosts - self.state.activated_hosts
            if above in {each.name for each in gone}:
                return messages.UNREACHABLE_BEHIND(node=host.name, gateway=above)
            return messages.UNREACHABLE(node=host.name)
        name = "this computer" if host.name == "@local" else host.name
        return f"{name}: failed. {_CONTINUE}"

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
        from rich.console import Console  # slow to import, and for the end only

        out = Console(stderr=True, highlight=False, soft_wrap=True)
        all_steps = steps.all_of(self.state, self.clock)
        if not all_steps:
            if self.screen.prepared and not self.state.failed_hosts:
                out.print("Nothing to do: the settings have no step for these nodes")
            return
        out.print()
        out.print(self._table(all_steps))
        self._show_removals(out, all_steps)
        self._show_slowest(out, all_steps)
        if self.log.path is not None:
            seconds = time.monotonic() - self._began
            out.print(f"{seconds:.0f} s. Log: {self.log.path}")
        if not self.state.failed_hosts:
            self._show_next(out, all_steps)

    def _table(self, all_steps: list[steps.Step]) -> Table:
        from rich.table import Table

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

    def _show_removals(self, out: Console, all_steps: list[steps.Step]) -> None:
        words = {"changed": "Removed from", "planned": "To be removed from"}
        for each in all_steps:
            if each.outcome in words and each.work.removed:
                out.print(f"{words[each.outcome]} {each.node}: {', '.join(each.work.removed)}")

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
                "Dry run: nothing was changed. Next: the same command without --dry"
                if planned
                else f"No changes: {_MATCH}"
            )
            return
        if all(each.outcome == "same" for each in all_steps):
            out.print(f"No changes: {_MATCH}")
        for command in runs.of(self.state).next_commands:
            out.print(f"Next: {command}")


def _columns(ran: bool) -> tuple[str, ...]:
    return ("changed", "same", "failed") if ran else ("planned", "same")


@harmless(None)
def install() -> None:
    """
    Show the run as this package does; called once, from config.py.

    With ``-v`` and more all of pyinfra's own lines stay on the screen.
    """
    state = ctx_state.get()
    report = Report(state)
    logger.addFilter(report.filter)
    logger.handlers.insert(0, report.log)
    for handler in logger.handlers[1:]:
        handler.addFilter(report.screen)
    atexit.register(report.end)
