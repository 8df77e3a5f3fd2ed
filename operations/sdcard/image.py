"""
Find or download the image of an SD card, check it, and unpack it while it is read.

An image is .img, or that packed as .xz, .gz, .zip or .zst.
"""

from __future__ import annotations

import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import zstandard
from pyinfra.api.host import Host

from formats import partition_table
from formats.card_record import HEAD
from formats.partition_table import Partition
from messages import sdcard as messages
from operations.base import HostFailure
from workstation import download
from workstation.progress import show_progress

# The first bytes of a file of each kind, whatever its name.
_XZ = b"\xfd7zXZ\0"
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class Checksum:
    """
    The checksum that the image must have.

    + sha256: in hexadecimal
    + kept_in: the file with the checksum that the publisher gave first; None without a publisher
    """

    sha256: str
    kept_in: Path | None = None

    def check(self, source: str, found: str) -> None:
        """Raise ``HostFailure`` when the image at ``source`` has another checksum."""
        if found == self.sha256:
            return
        if self.kept_in is None:
            raise HostFailure(
                messages.WRONG_CHECKSUM(source=source, found=found, expected=self.sha256)
            )
        raise HostFailure(
            messages.REPLACED_IMAGE(
                source=source, found=found, expected=self.sha256, place=self.kept_in
            )
        )


def expected_checksum(source: str, checksum: str | None, folder: str, host: Host) -> Checksum:
    """
    Return the checksum that the image must have.

    + source: its URL, or a path on this computer
    + checksum: sha256; the URL of a file that holds it; None: that of the file as it is
    + folder: where downloads are kept

    Raises ``DownloadError``.
    """
    if checksum is None:
        return Checksum(_file_checksum(source, host))
    if "://" in checksum:
        published = download.published_checksum(checksum, folder)
        return Checksum(published, download.published_place(checksum, folder))
    return Checksum(checksum.lower())


def local_image(source: str, checksum: Checksum, folder: str, host: Host) -> Path | None:
    """
    Return the image's file on this computer; None when it has yet to be downloaded.

    Raises ``DownloadError``, and ``HostFailure`` for a file with another checksum.
    """
    if "://" in source:
        return download.kept_copy(source, checksum.sha256, folder)
    checksum.check(source, _file_checksum(source, host))
    return Path(source).expanduser()


def fetch_image(source: str, checksum: Checksum, folder: str, host: Host) -> Path:
    """Return the image's file, downloading it if needed; raises as ``local_image``."""
    if image := local_image(source, checksum, folder, host):
        return image
    try:
        with show_progress(host, "Downloading", "Downloaded, checksum correct") as advance:
            return download.fetch(source, checksum.sha256, folder, advance)
    except download.DownloadError as error:
        if error.said.message is messages.WRONG_CHECKSUM:
            checksum.check(source, str(error.said.values["found"]))
        raise


def _file_checksum(source: str, host: Host) -> str:
    path = Path(source).expanduser()
    try:
        now = path.stat()
    except OSError as error:
        said = messages.LOCAL_FILE(path=source, reason=error.strerror)
        raise download.DownloadError(said) from error
    return _cached_checksum(path, now.st_mtime_ns, now.st_size, host)


@cache
def _cached_checksum(path: Path, _changed: int, _size: int, host: Host) -> str:
    """Once per run: it takes minutes, and is needed in prepare and in execute."""
    with show_progress(host, "Checksum") as advance:
        return download.file_checksum(path, advance)


def read_beginning(image: Path) -> bytes:
    """Read the first bytes of an image, which hold its partition table."""
    with opened(image) as source:
        return source.read(partition_table.LENGTH)


def partitions_of(image: Path, beginning: bytes) -> list[Partition]:
    """Return the image's partitions; ``HostFailure`` when a Raspberry Pi can't boot from it."""
    try:
        partitions = partition_table.parse(beginning)
        boot = partition_table.boot_partition(partitions)
    except ValueError as error:
        raise HostFailure(messages.NOT_BOOTABLE(image=image, reason=error.args[0])) from error
    if boot.start < HEAD:
        reason = f"its boot partition begins before byte {HEAD}"
        raise HostFailure(messages.NOT_BOOTABLE(image=image, reason=reason))
    return partitions


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Image:
    """An unpacked image, read from its beginning to its end."""

    def __init__(self, path: Path, content: _Readable) -> None:
        self._path, self._content = path, content

    def read(self, size: int) -> bytes:
        """Read the next bytes: fewer than asked for only at the end."""
        found = bytearray()
        with _unpacking(self._path):
            while len(found) < size and (block := self._content.read(size - len(found))):
                found += block
        return bytes(found)


@contextmanager
def opened(path: Path) -> Iterator[Image]:
    """
    Open the image in a file, packed or not: its first bytes tell how.

    Raises ``HostFailure`` when it can't be read or unpacked.
    """
    with _unpacking(path), open(path, "rb") as file:
        yield Image(path, _unpacked(path, file))


def _unpacked(path: Path, file: BinaryIO) -> _Readable:
    beginning = file.read(8)
    file.seek(0)
    if beginning.startswith(_XZ):
        return lzma.LZMAFile(file)
    if beginning.startswith(_GZIP):
        return cast(_Readable, gzip.GzipFile(fileobj=file))
    if beginning.startswith(_ZSTD):
        return _Zstd(file)
    if beginning.startswith(_ZIP):
        archive = zipfile.ZipFile(file)
        names = [each for each in archive.namelist() if each.endswith(".img")]
        if len(names) != 1:
            raise HostFailure(messages.NOT_ONE_IMAGE(image=path, count=len(names)))
        return archive.open(names[0])
    return file


class _Zstd:
    """Read all frames of a file; zstandard's own reader accepts a file that ends in the middle."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._ready = b""

    def read(self, size: int, /) -> bytes:
        while not self._ready:
            packed = self._frame.unused_data if self._frame.eof else b""
            packed = packed or self._file.read(128 * 1024)
            if not packed:
                if not self._frame.eof:
                    raise EOFError("the file ends in the middle")
                return b""
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._ready = self._frame.decompress(packed)
        found, self._ready = self._ready[:size], self._ready[size:]
        return found


@contextmanager
def _unpacking(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.strerror:
            raise HostFailure(messages.LOCAL_FILE(path=path, reason=error.strerror)) from error
        raise HostFailure(messages.NOT_UNPACKED(image=path, reason=error)) from error
    except (EOFError, lzma.LZMAError, zipfile.BadZipFile, zlib.error, zstandard.ZstdError) as error:
        raise HostFailure(messages.NOT_UNPACKED(image=path, reason=error)) from error
