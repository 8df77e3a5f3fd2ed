"""
Files of the person's own, on the computer that pyinfra runs on: private, atomic, with a backup.
"""

from __future__ import annotations

import os
import tempfile
from datetime import datetime
from pathlib import Path


def text(path: str) -> str | None:
    """A file's content; None when it is not there. ``~`` is the home of who runs pyinfra."""
    try:
        return Path(path).expanduser().read_text()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ValueError("it is not text") from error


def replace(path: str, content: str, backup: bool = True) -> str | None:
    """
    Write a file that the person alone can read, the old one kept beside it.

    A link is followed: people keep such files elsewhere and link to them.

    + backup: False: the old one is ours, and not kept
    + returns: where the old one is; None when there was none
    """

    target = Path(path).expanduser().resolve()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = None
    if backup and target.exists():
        when = datetime.now().strftime("%Y%m%d-%H%M%S")
        kept = target.with_name(f"{target.name}.{when}.bak")
        _write(kept, target.read_bytes())
    _write(target, content.encode())
    return str(kept) if kept else None


def _write(path: Path, content: bytes) -> None:
    # mkstemp makes the file with mode 600.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
