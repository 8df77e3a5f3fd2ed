"""Results of checks, and how they are shown."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from messages import Said
from operations.preflight.node import Node, Nodes

Status = Literal["OK", "warning", "failure"]
COLOURS: dict[Status, str] = {"OK": "green", "warning": "yellow", "failure": "red"}
_INDENT = 4  # columns that pyinfra puts before each line
_WIDE = 100_000  # for a file or a pipe, where a command is to stay on one line


@dataclass(frozen=True)
class Result:
    """
    What a check finds on a node.

    + text: a message with its code, unless the status is OK
    """

    status: Status
    text: str


Check = Callable[[Node, Nodes], Result | None]  # None: it does not apply to this node


def ok(text: str) -> Result:
    """The node is as desired, or the run makes it so."""
    return Result("OK", text)


def warning(message: Said) -> Result:
    """The run can go on; a person should know."""
    return Result("warning", message)


def failure(message: Said) -> Result:
    """The run would fail on this node."""
    return Result("failure", message)


def before_cluster(node: Node, message: Said) -> Result:
    """Fail on what prevents a new cluster; warn on a node that is in a cluster in spite of it."""
    return warning(message) if node.in_cluster else failure(message)


def count(results: Sequence[Result]) -> str:
    """Summarize results: "23 checks: 1 warning, 2 failures"."""
    numbers = Counter(result.status for result in results)
    bad = [
        f"{numbers[status]} {status}{'s' * (numbers[status] != 1)}"
        for status in ("warning", "failure")
        if numbers[status]
    ]
    total = f"{len(results)} check{'s' * (len(results) != 1)}"
    return f"{total}{': ' + ', '.join(bad) if bad else ', all OK'}"


def table(node: Node, results: dict[str, Result]) -> list[str]:
    """Render a node's results as lines, coloured and wrapped if stderr is a terminal."""
    terminal = sys.stderr.isatty()
    out = StringIO()
    console = Console(
        file=out,
        width=max(60, Console(stderr=True).width - _INDENT) if terminal else _WIDE,
        force_terminal=terminal,
        color_system="standard" if terminal else None,
        highlight=False,
    )
    lines = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for check, result in results.items():
        lines.add_row(Text(result.status, COLOURS[result.status]), check, Text(result.text))
    machine = node.observed.machine
    model = f", {machine.model}" if machine and machine.model else ""
    roles = node.desired.role.replace("_", " ") + (", gateway" if node.desired.is_gateway else "")
    title = f"{node.name} ({roles}{model}): {count([*results.values()])}"
    console.print(Text(title, "bold"))
    console.print(lines)
    return [line.rstrip() for line in out.getvalue().splitlines()]
