"""Files on this computer: private, atomic, with a backup."""

from __future__ import annotations

import os
import stat
import tempfile
from datetime import datetime
from itertools import count
from pathlib import Path


def text(path: str) -> str | None:
    """
    Read a file, with its line ends as they are; None if it does not exist.

    + path: ``~`` is the home of the user who runs pyinfra
    + raises ``ValueError``: it is not a text file
    """
    try:
        target = Path(path).expanduser()
        if not stat.S_ISREG(target.stat().st_mode):
            raise ValueError("it is not a file")
        return target.read_bytes().decode()
    except FileNotFoundError:
        return None
    except RuntimeError as error:
        raise ValueError("that user has no home directory") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is not text") from error


def check_writable(path: str) -> None:
    """``OSError`` if ``replace`` would fail, or if the file is read-only."""
    target = Path(path).expanduser().resolve()
    if target.exists() and not target.stat().st_mode & stat.S_IWUSR:
        raise PermissionError(13, "it is read-only: make it writable with chmod u+w")
    folder = next(parent for parent in target.parents if parent.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(13, f"{folder} is not writable")


def replace(path: str, content: str | bytes, backup: bool = True) -> str | None:
    """
    Write a file that only its owner can read; after a power cut there is the old one or the new.

    A link is followed: people keep such files elsewhere. Under sudo the file keeps its owner, and a
    new one gets the owner of its directory.

    + backup: whether to keep the old file beside it
    + returns: path of the backup; None: there was no file
    """
    target = Path(path).expanduser().resolve()
    owner = _make_folder(target.parent)
    kept = None
    if target.exists():
        owner = target.stat()
        if backup:
            kept = _keep(target, owner)
    # mkstemp creates the file with mode 600.
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    _fill(handle, name, content.encode() if isinstance(content, str) else content, owner)
    os.replace(name, target)
    sync_folder(target.parent)
    return kept


def sync_folder(folder: Path) -> None:
    """Write a directory's entries to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _make_folder(folder: Path) -> os.stat_result:
    """Create a directory with its missing parents; return its owner."""
    if not folder.exists():
        owner = _make_folder(folder.parent)
        folder.mkdir(mode=0o700)
        _give(folder, owner)
    return folder.stat()


def _keep(target: Path, owner: os.stat_result) -> str:
    """Copy a file to a name that is not taken; return that name."""
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
    """Write a new file completely, or remove it again."""
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
