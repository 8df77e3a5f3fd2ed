"""
Files of the person's own, on the computer that pyinfra runs on: private, atomic, with a backup.
"""

from __future__ import annotations

import os
import stat
import tempfile
from datetime import datetime
from itertools import count
from pathlib import Path


def text(path: str) -> str | None:
    """
    A file's content, its line ends as they are; None when it is not there.

    ``~`` is the home of who runs pyinfra. ``ValueError`` when it is no text.
    """
    try:
        target = Path(path).expanduser()
        if not stat.S_ISREG(target.stat().st_mode):
            raise ValueError("it is not a file")
        return target.read_bytes().decode()
    except FileNotFoundError:
        return None
    except RuntimeError as error:
        raise ValueError("there is no such user's home folder") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is not text") from error


def check_writable(path: str) -> None:
    """``OSError`` where ``replace`` would fail, or the person has made the file read-only."""
    target = Path(path).expanduser().resolve()
    if target.exists() and not target.stat().st_mode & stat.S_IWUSR:
        raise PermissionError(13, "it is read-only: make it writable with chmod u+w")
    folder = next(parent for parent in target.parents if parent.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(13, f"nothing can be written into {folder}")


def replace(path: str, content: str, backup: bool = True) -> str | None:
    """
    Write a file that its owner alone can read, the old one kept beside it.

    A link is followed: people keep such files elsewhere and link to them. Under sudo the file still
    belongs to whom it belonged to, a new one to the owner of its folder.

    + backup: False: the old one is ours, and not kept
    + returns: where the old one is; None when there was none
    """

    target = Path(path).expanduser().resolve()
    owner = _make_folder(target.parent)
    kept = None
    if target.exists():
        owner = target.stat()
        if backup:
            kept = _keep(target, owner)
    # mkstemp makes the file with mode 600.
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    _fill(handle, name, content.encode(), owner)
    os.replace(name, target)
    return kept


def _make_folder(folder: Path) -> os.stat_result:
    """Make a folder and those above it that are missing; returns its owner."""
    if not folder.exists():
        owner = _make_folder(folder.parent)
        folder.mkdir(mode=0o700)
        _give(folder, owner)
    return folder.stat()


def _keep(target: Path, owner: os.stat_result) -> str:
    """A copy of a file under a name that nothing has yet."""
    when = datetime.now().strftime("%Y%m%d-%H%M%S")
    for number in count():
        kept = f"{target}.{when}{f'-{number}' if number else ''}.bak"
        try:
            handle = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            continue
        _fill(handle, kept, target.read_bytes(), owner)
        return kept
    raise AssertionError  # count() never ends


def _fill(handle: int, name: str, content: bytes, owner: os.stat_result) -> None:
    """Write a new file whole, or take it away again."""
    try:
        with os.fdopen(handle, "wb") as file:
            _give(handle, owner)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _give(file: int | Path, owner: os.stat_result) -> None:
    if os.geteuid() == 0:
        os.chown(file, owner.st_uid, owner.st_gid)
