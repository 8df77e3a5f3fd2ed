"""
Images of disks, unpacked while they are read: .xz, .gz, .zip, .zst, or not packed at all.
"""

from __future__ import annotations

import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import zstandard

# What a file of each kind begins with; the name of a file may be anything.
_XZ = b"\xfd7zXZ\0"
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_ZSTD = b"\x28\xb5\x2f\xfd"


class UnpackError(Exception):
    """The file can't be read or unpacked; the message is for the person."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Image:
    """An unpacked image, read from its beginning to its end."""

    def __init__(self, path: Path, content: _Readable) -> None:
        self._path, self._content = path, content

    def read(self, size: int) -> bytes:
        """The next bytes: fewer than asked for only at the end. Raises ``UnpackError``."""
        found = bytearray()
        with _told(self._path):
            while len(found) < size and (block := self._content.read(size - len(found))):
                found += block
        return bytes(found)


@contextmanager
def opened(path: Path) -> Iterator[Image]:
    """
    The image in a file.

    + path: the file; how it is packed is told by its content

    Raises ``UnpackError``.
    """
    with _told(path), open(path, "rb") as file:
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
            raise UnpackError(f"{path} holds {len(names)} files named .img: it must be one")
        return archive.open(names[0])
    return file


class _Zstd:
    """zstandard's own reader takes the end of a file for the end of its content."""

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
                    raise EOFError("it ends in the middle")
                return b""
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._ready = self._frame.decompress(packed)
        found, self._ready = self._ready[:size], self._ready[size:]
        return found


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.strerror:
            raise UnpackError(f"{path} can't be read: {error.strerror}") from error
        raise UnpackError(f"{path} can't be unpacked: {error}") from error
    except (EOFError, lzma.LZMAError, zipfile.BadZipFile, zlib.error, zstandard.ZstdError) as error:
        raise UnpackError(f"{path} can't be unpacked: {error}") from error
