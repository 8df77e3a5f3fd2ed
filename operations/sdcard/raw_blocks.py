"""
Reads and writes blocks of a disk, or of an image file: a program by itself, for sudo to run, so
that nothing else of a card's making runs as root.

    raw_blocks.py read PATH OFFSET LENGTH    to standard output, from the medium itself
    raw_blocks.py write PATH OFFSET          from standard input, and on the medium when it ends

Ends with status 1 and one line for the person. It imports nothing of this project.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

BLOCK = 4 * 1024 * 1024


def read(path: str, offset: int, length: int) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    _forget(descriptor)
    os.lseek(descriptor, offset, os.SEEK_SET)
    while length and (block := os.read(descriptor, min(length, BLOCK))):
        length -= len(block)
        _give(1, block)


def write(path: str, offset: int) -> None:
    # The kernel gives a disk to one alone with O_EXCL: not while anything on it is mounted or part
    # of something else, and nothing can be mounted from it meanwhile.
    exclusive = os.O_EXCL if stat.S_ISBLK(os.stat(path).st_mode) else 0
    descriptor = os.open(path, os.O_WRONLY | exclusive)
    os.lseek(descriptor, offset, os.SEEK_SET)
    behind = 0
    while block := _take(BLOCK):
        _give(descriptor, block)
        behind += len(block)
        if behind >= 8 * BLOCK:  # else memory fills up, and the end takes minutes without a word
            os.fsync(descriptor)
            behind = 0
    os.fsync(descriptor)
    _forget(descriptor)


def _forget(descriptor: int) -> None:
    """Have this computer's memory forget the content, which is then read from the medium."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _take(size: int) -> bytes:
    found = bytearray()
    while len(found) < size and (block := os.read(0, size - len(found))):
        found += block
    return bytes(found)


def _give(descriptor: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(descriptor, view) :]


def _remedy(error: OSError) -> str:
    if error.errno == errno.EBUSY:
        return "it is in use: unmount what is on it, then run this again"
    if error.errno == errno.EIO:
        return "input/output error: the card or its reader is broken, or was pulled out"
    if error.errno == errno.ENOSPC:
        return "it ends before the image does: it is smaller than it says, or the disk is full"
    return str(error.strerror)


if __name__ == "__main__":
    action, target, *numbers = sys.argv[1:]
    try:
        if action == "read":
            read(target, int(numbers[0]), int(numbers[1]))
        else:
            write(target, int(numbers[0]))
    except OSError as error:
        sys.exit(f"{target}: {_remedy(error)}")
