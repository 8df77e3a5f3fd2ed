"""The log of a run: every line that pyinfra prints, in .cluster/logs/."""

from __future__ import annotations

import logging
import os
from datetime import datetime
from pathlib import Path

import click
from pyinfra.context import ctx_host
from typing_extensions import override

from report.harmless import harmless

FOLDER = Path(".cluster/logs")
KEPT = 20


class Log(logging.Handler):
    """
    Writes each line to a file that only its owner can read, and keeps the error messages.

    + errors: ``(node, line)``; the node is "" where a line is about none
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        super().__init__(logging.INFO)
        self.errors: list[tuple[str, str]] = []
        self.path: Path | None = None
        self._folder = folder
        self._open()

    @harmless(None)
    def _open(self) -> None:
        self._folder.parent.mkdir(mode=0o700, exist_ok=True)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for old in sorted(self._folder.glob("*.log"))[: -(KEPT - 1)]:
            old.unlink(missing_ok=True)
        path = self._folder / f"{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        self.path = path

    @override
    @harmless(None)
    def emit(self, record: logging.LogRecord) -> None:
        text = click.unstyle(record.getMessage())
        if record.levelno >= logging.ERROR:
            node = ctx_host.get().name if ctx_host.isset() else ""
            self.errors.append((node, text.strip()))
        if self.path is not None:
            with self.path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(f"{datetime.now():%H:%M:%S} {text}\n")
                if record.exc_info:
                    file.write(logging.Formatter().formatException(record.exc_info) + "\n")
