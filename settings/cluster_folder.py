"""The folder .cluster/, which holds what is made from the settings: ignored by git, private."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def folder(project: Path) -> Path:
    """Make .cluster/, mode 0700, when it is missing."""
    path = project.absolute() / ".cluster"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)
    return path


@contextmanager
def locked(project: Path) -> Iterator[Path]:
    """Lock .cluster/: two runs at once must not make two keys, or lose a known host."""
    path = folder(project)
    with open(path / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path


def write(path: Path, text: str) -> None:
    """Write the file atomically, mode 0600, and only when its text changes."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)
