"""
Standalone helper: only raw block I/O runs as root. It imports nothing of this project.

    raw_blocks.py read PATH OFFSET LENGTH    to standard output, from the medium itself
    raw_blocks.py write PATH OFFSET          from standard input, on the medium when it exits

On failure it exits with 1, its last line being ``errno NUMBER: TEXT``.
"""

from __future__ import annotations

import os
import stat
import sys

BLOCK = 4 * 1024 * 1024


def read(path: str, offset: int, length: int) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    _drop_cache(descriptor)
    os.lseek(descriptor, offset, os.SEEK_SET)
    while length and (block := os.read(descriptor, min(length, BLOCK))):
        length -= len(block)
        _write_all(1, block)


def write(path: str, offset: int) -> None:
    # With O_EXCL the kernel refuses a disk that is mounted or otherwise in use, and any mount of it
    # until this exits.
    exclusive = os.O_EXCL if stat.S_ISBLK(os.stat(path).st_mode) else 0
    descriptor = os.open(path, os.O_WRONLY | exclusive)
    os.lseek(descriptor, offset, os.SEEK_SET)
    unsynced = 0
    while block := _read_block():
        _write_all(descriptor, block)
        unsynced += len(block)
        if unsynced >= 8 * BLOCK:  # else the page cache fills, and the progress bar stops at 100 %
            os.fsync(descriptor)
            unsynced = 0
    os.fsync(descriptor)
    _drop_cache(descriptor)


def _drop_cache(descriptor: int) -> None:
    """Drop the page cache, so that the next read is from the medium."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _read_block() -> bytes:
    found = bytearray()
    while len(found) < BLOCK and (block := os.read(0, BLOCK - len(found))):
        found += block
    return bytes(found)


def _write_all(descriptor: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    action, target, *numbers = sys.argv[1:]
    try:
        if action == "read":
            read(target, int(numbers[0]), int(numbers[1]))
        else:
            write(target, int(numbers[0]))
    except OSError as error:
        sys.exit(f"errno {error.errno}: {error.strerror}")
