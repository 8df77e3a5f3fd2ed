"""Tables in what a run shows: aligned columns, coloured and wrapped if stderr is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

_INDENT = 4  # columns that pyinfra puts before each line
_WIDE = 100_000  # for a file or a pipe, where a command is to stay on one line


def render(title: str, rows: Sequence[Sequence[str | Text]]) -> list[str]:
    """
    Render rows under a title as lines.

    + rows: their cells; a ``Text`` has its own colour
    """
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
        lines.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    console.print(Text(title, "bold"))
    console.print(lines)
    return [line.rstrip() for line in out.getvalue().splitlines()]
