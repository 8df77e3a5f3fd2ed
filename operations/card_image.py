"""
Where the image of a card comes from: a file on this computer, or a download that is kept.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pyinfra.api.host import Host

from operations import download, progress
from operations.base import Refused


def pin(source: str, checksum: str | None, folder: str, host: Host) -> str:
    """
    The checksum that the image must have.

    + source: its URL, or a path on this computer
    + checksum: sha256; the URL of a file that holds it; None: that of the file as it is
    + folder: where downloads are kept

    Raises ``DownloadError``.
    """
    if checksum is None:
        return _sum_of_file(source, host)
    if "://" in checksum:
        return download.published_checksum(checksum, folder)
    return checksum.lower()


def at_hand(source: str, pin: str, folder: str, host: Host) -> Path | None:
    """
    The image's file on this computer, which has the checksum; None when it is to be downloaded.

    Raises ``DownloadError``.
    """
    if "://" in source:
        return download.kept(source, pin, folder)
    if (found := _sum_of_file(source, host)) != pin:
        raise Refused(
            f"{source} has the checksum {found}, not {pin}: it is not the image that was meant"
        )
    return Path(source).expanduser()


def fetched(source: str, pin: str, folder: str, host: Host) -> Path:
    """The image's file, downloaded where it is not at hand. Raises ``DownloadError``."""
    there = at_hand(source, pin, folder, host)
    if there:
        return there
    with progress.shown(host, "Downloading", "Downloaded, and its checksum is right") as advance:
        return download.fetched(source, pin, folder, advance)


def _sum_of_file(source: str, host: Host) -> str:
    path = Path(source).expanduser()
    try:
        now = path.stat()
    except OSError as error:
        raise download.DownloadError(f"{source} can't be read: {error.strerror}") from error
    return _sum(path, now.st_mtime_ns, now.st_size, host)


@cache
def _sum(path: Path, _changed: int, _size: int, host: Host) -> str:
    """Once a run: it takes its time, and a run asks while it prepares and again while it writes."""
    with progress.shown(host, "Checksum") as advance:
        return download.file_sum(path, advance)
