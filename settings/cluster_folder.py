"""The folder .cluster/: what is made from the settings. Ignored by git, for its owner alone."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = ".cluster"


def folder(desk: Path) -> Path:
    """The desk's .cluster/, made when missing, mode 0700."""
    path = desk.absolute() / NAME
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)
    return path


@contextmanager
def locked(desk: Path) -> Iterator[Path]:
    """Hold .cluster/ for oneself: two runs at once don't make two keys, or lose a known host."""
    path = folder(desk)
    with open(path / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path


def write(path: Path, text: str) -> None:
    """Write the file, mode 0600, in one step and only when its text changes."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)
