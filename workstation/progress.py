"""
How far something long has come: a bar on a terminal, and one line when it is done.
"""

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

_EACH_S = 0.2


def size(count: float) -> str:
    """A number of bytes for a person, in the units that are printed on cards."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"


@contextmanager
def shown(host: Host, doing: str, done: str = "") -> Iterator[Callable[[int, int | None], None]]:
    """
    Show the progress of what is done in the block, which calls the function it is given: with the
    bytes that are behind it, and those of all of it where that is known.

    + doing: while it goes on, "Writing"
    + done: when it has ended, "Written"; nothing is said when this is empty, or the block fails
    """
    bar = Progress(
        TextColumn(f"    {doing}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=(console := Console(stderr=True)),
        auto_refresh=False,  # its thread would be one of pyinfra's, which wait for us
        transient=True,
        disable=not console.is_terminal,
    )
    begun = time.monotonic()
    last = 0.0
    behind = 0

    def advance(now: int, total: int | None) -> None:
        nonlocal last, behind
        behind = now
        if time.monotonic() - last > _EACH_S:
            last = time.monotonic()
            bar.update(task, completed=now, total=total)
            bar.refresh()

    with bar:
        task = bar.add_task(doing, total=None)
        yield advance
    if done:
        seconds = max(time.monotonic() - begun, 0.001)
        host.log(f"{done}: {size(behind)} in {seconds:.0f} s, {size(behind / seconds)} a second")
