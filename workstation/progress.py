"""Progress of a long local task: a bar on a terminal, and one line when it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pyinfra.api.host import Host
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

_REFRESH_S = 0.2


def format_size(count: float) -> str:
    """Format a number of bytes in the decimal units that are printed on SD cards."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"


@contextmanager
def show_progress(
    host: Host, doing: str, done: str = ""
) -> Iterator[Callable[[int, int | None], None]]:
    """
    Show the progress of the block, which reports it by calling the function it is given.

    That function takes the bytes done, and the total (None: unknown).

    + doing: label while it runs, such as "Writing"
    + done: label of the line at the end, such as "Written"; "": no such line
    """
    bar = Progress(
        TextColumn(f"    {doing}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=(console := Console(stderr=True)),
        auto_refresh=False,  # a refresh thread would be a greenlet, which this code never yields to
        transient=True,
        disable=not console.is_terminal,
    )
    begun = time.monotonic()
    last = 0.0
    completed = 0

    def advance(now: int, total: int | None) -> None:
        nonlocal last, completed
        completed = now
        if time.monotonic() - last > _REFRESH_S:
            last = time.monotonic()
            bar.update(task, completed=now, total=total)
            bar.refresh()

    with bar:
        task = bar.add_task(doing, total=None)
        yield advance
    if done:
        seconds = max(time.monotonic() - begun, 0.001)
        speed = format_size(completed / seconds)
        host.log(f"{done}: {format_size(completed)} in {seconds:.0f} s ({speed}/s)")
