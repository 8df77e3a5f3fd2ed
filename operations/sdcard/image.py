"""
Where the image of a card comes from: a file on this computer, or a download that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pyinfra.api.host import Host

from operations.base import HostFailure
from workstation import download, progress


@dataclass(frozen=True)
class Pin:
    """
    The checksum that the image must have.

    + checksum: sha256
    + place: the file that keeps what a publisher has once said; None when nobody was asked
    """

    checksum: str
    place: Path | None = None

    def doubt(self) -> str:
        """What to do besides when an image has another one."""
        if self.place is None:
            return ""
        return f"; its publisher may have replaced it: then remove {self.place}"


def pin(source: str, checksum: str | None, folder: str, host: Host) -> Pin:
    """
    The checksum that the image must have.

    + source: its URL, or a path on this computer
    + checksum: sha256; the URL of a file that holds it; None: that of the file as it is
    + folder: where downloads are kept

    Raises ``DownloadError``.
    """
    if checksum is None:
        return Pin(_sum_of_file(source, host))
    if "://" in checksum:
        said = download.published_checksum(checksum, folder)
        return Pin(said, download.published_place(checksum, folder))
    return Pin(checksum.lower())


def at_hand(source: str, pin: Pin, folder: str, host: Host) -> Path | None:
    """
    The image's file on this computer, which has the checksum; None when it is to be downloaded.

    Raises ``DownloadError``.
    """
    if "://" in source:
        return download.kept(source, pin.checksum, folder)
    if (found := _sum_of_file(source, host)) != pin.checksum:
        raise HostFailure(
            f"{source} has the checksum {found}, not {pin.checksum}: it is not the image that was "
            f"meant: download it again, or see image_checksum{pin.doubt()}"
        )
    return Path(source).expanduser()


def fetched(source: str, pin: Pin, folder: str, host: Host) -> Path:
    """The image's file, downloaded where it is not at hand. Raises ``DownloadError``."""
    there = at_hand(source, pin, folder, host)
    if there:
        return there
    done = "Downloaded, and its checksum is right"
    try:
        with progress.shown(host, "Downloading", done) as advance:
            return download.fetched(source, pin.checksum, folder, advance)
    except download.OtherFile as error:
        raise download.OtherFile(f"{error}{pin.doubt()}") from error


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
