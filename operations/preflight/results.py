"""Results of checks, and how they are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.text import Text

from facts.machine import Machine
from messages import Said
from operations.preflight.node import Node, Nodes
from operations.table import render

Status = Literal["OK", "warning", "failure"]
COLOURS: dict[Status, str] = {"OK": "green", "warning": "yellow", "failure": "red"}


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
    machine = node.read(Machine)
    model = f", {machine.model}" if machine and machine.model else ""
    roles = node.desired.role.replace("_", " ") + (", gateway" if node.desired.is_gateway else "")
    title = f"{node.name} ({roles}{model}): {count([*results.values()])}"
    rows = [
        (Text(result.status, COLOURS[result.status]), check, result.text)
        for check, result in results.items()
    ]
    return render(title, rows)
