"""
Rows as a person reads them.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from operations.preflight.rows import Node, Row

COLOURS = {"OK": "green", "warning": "yellow", "failure": "red"}
_INDENT = 4  # what pyinfra puts before each line
_WIDE = 100_000  # for a file or a pipe: there a command stays in one line


def count(rows: Sequence[Row]) -> str:
    """All of them in a few words: "23 checks: 1 warning, 2 failures"."""
    numbers = Counter(row.status for row in rows)
    bad = [
        f"{numbers[status]} {status}{'s' * (numbers[status] != 1)}"
        for status in ("warning", "failure")
        if numbers[status]
    ]
    total = f"{len(rows)} check{'s' * (len(rows) != 1)}"
    return f"{total}{': ' + ', '.join(bad) if bad else ', all OK'}"


def table(node: Node, rows: Sequence[Row]) -> list[str]:
    """A node's rows below its name, coloured and wrapped for a terminal, else neither."""
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
    for row in rows:
        lines.add_row(Text(row.status, COLOURS[row.status]), row.check, Text(row.words))
    console.print(Text(_title(node, rows), "bold"))
    console.print(lines)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def _title(node: Node, rows: Sequence[Row]) -> str:
    machine = node.found.machine
    model = f", {machine.model}" if machine and machine.model else ""
    roles = node.wanted.role.replace("_", " ") + (", gateway" if node.wanted.is_gateway else "")
    return f"{node.name} ({roles}{model}): {count(rows)}"
