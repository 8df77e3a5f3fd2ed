"""Images packed in each way, and packed ones that are not whole."""

from __future__ import annotations

import gzip
import lzma
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from messages import sdcard as messages
from operations.base import HostFailure
from operations.sdcard.image import opened

CONTENT = random.Random(1).randbytes(300_000) + bytes(3_000_000)


def _zip(content: bytes, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README", "an image")
        archive.writestr("own.img", content)


PACK: dict[str, Callable[[bytes, Path], object]] = {
    "img": lambda content, path: path.write_bytes(content),
    "xz": lambda content, path: path.write_bytes(lzma.compress(content)),
    "gz": lambda content, path: path.write_bytes(gzip.compress(content)),
    "zip": _zip,
    "zst": lambda content, path: path.write_bytes(zstandard.compress(content)),
}


def failure(path: Path) -> object:
    """The message of one that can't be read."""
    with pytest.raises(HostFailure) as reason:
        content_of(path)
    return reason.value.args[0].message


def content_of(path: Path) -> bytes:
    found = b""
    with opened(path) as image:
        while block := image.read(1_000_000):
            found += block
    return found


@pytest.mark.parametrize("kind", PACK)
def test_each_compression_is_recognized_by_content(kind: str, tmp_path: Path) -> None:
    PACK[kind](CONTENT, tmp_path / "image")
    assert content_of(tmp_path / "image") == CONTENT


@pytest.mark.parametrize("kind", ["xz", "gz", "zst"])
def test_all_frames_of_a_compressed_image_are_read(kind: str, tmp_path: Path) -> None:
    pieces = []
    for number, part in enumerate((CONTENT[:200_000], CONTENT[200_000:])):
        PACK[kind](part, tmp_path / f"{number}")
        pieces.append((tmp_path / f"{number}").read_bytes())
    (tmp_path / "image").write_bytes(b"".join(pieces))
    assert content_of(tmp_path / "image") == CONTENT


@pytest.mark.parametrize("kind", ["xz", "gz", "zip", "zst"])
def test_a_truncated_image_is_refused(kind: str, tmp_path: Path) -> None:
    PACK[kind](CONTENT, tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    assert failure(tmp_path / "half") is messages.NOT_UNPACKED


@pytest.mark.parametrize("kind", ["xz", "gz", "zip", "zst"])
def test_a_damaged_image_is_refused(kind: str, tmp_path: Path) -> None:
    PACK[kind](CONTENT, tmp_path / "image")
    damaged = bytearray((tmp_path / "image").read_bytes())
    damaged[150_000:150_100] = bytes(100)
    (tmp_path / "image").write_bytes(damaged)
    try:
        found = content_of(tmp_path / "image")
    except HostFailure:
        return
    assert kind == "zst"  # whose checksum is optional; the file's own is checked before
    assert len(found) == len(CONTENT)


def test_a_zip_with_two_images_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.img", "a")
        archive.writestr("b.img", "b")
    assert failure(tmp_path / "two.zip") is messages.NOT_ONE_IMAGE


def test_a_missing_image_is_refused(tmp_path: Path) -> None:
    assert failure(tmp_path / "image") is messages.LOCAL_FILE
