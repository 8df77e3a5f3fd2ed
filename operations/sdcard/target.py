"""
What an image is written to: a disk of this computer, or an image file.

Gives access to its blocks (by ``raw_blocks``) and to the files of its boot partition (by mtools,
so that nothing is mounted).
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from messages import sdcard as messages
from operations.base import HostFailure
from operations.sdcard import raw_blocks

_BY_ERRNO = {
    errno.EBUSY: messages.DISK_BUSY,
    errno.EIO: messages.DISK_BROKEN,
    errno.ENOSPC: messages.DISK_FULL,
}


@dataclass(frozen=True)
class Target:
    """
    + path: of the disk, or of the image file
    + size: in bytes: the disk's, or the file's present one
    + disk: whether it is a disk

    All methods raise ``HostFailure`` when the medium can't be read or written.
    """

    path: str
    size: int
    disk: bool

    def read(self, offset: int, length: int) -> bytes:
        """Read so many bytes from the medium; fewer where it ends."""
        return b"".join(self.blocks(offset, length))

    def blocks(self, offset: int, length: int) -> Iterator[bytes]:
        """Read so many bytes from the medium, block by block."""
        pipe, end = _pipe()
        with pipe:
            with end:
                process = self._start(["read", str(offset), str(length)], stdout=end)
            while block := pipe.read(raw_blocks.BLOCK):
                yield block
        self._end(process)

    @contextmanager
    def writing(self, offset: int) -> Iterator[Callable[[bytes], object]]:
        """Give a function that writes from there on; all is on the medium when the block ends."""
        end, pipe = _pipe()
        with end:
            process = self._start(["write", str(offset)], stdin=end)
        try:
            with suppress(BrokenPipeError), pipe:
                yield pipe.write
        except BaseException:
            process.wait()  # it exits when the pipe is closed
            raise
        self._end(process)

    def boot_names(self, boot: int) -> set[str] | None:
        """
        List the boot partition's root directory, in lower case (FAT ignores case).

        + boot: where it begins, in bytes
        + returns: None without a FAT file system
        """
        done = self._mtools(["mdir", "-b", "-i", f"{self.path}@@{boot}", "::/"])
        if done.returncode:
            return None
        return {line.removeprefix("::/").lower() for line in done.stdout.decode().splitlines()}

    def read_boot_file(self, boot: int, name: str) -> bytes:
        """Read a file of the boot partition."""
        return self._boot_file(name, "read", ["mtype", "-i", f"{self.path}@@{boot}", f"::/{name}"])

    def write_boot_file(self, boot: int, name: str, content: bytes) -> None:
        """Write a file of the boot partition, over one of that name."""
        # -D o: overwrite without a question.
        command = ["mcopy", "-D", "o", "-i", f"{self.path}@@{boot}", "-", f"::/{name}"]
        self._boot_file(name, "written", command, content)

    def _boot_file(
        self, name: str, done: str, command: Sequence[str], content: bytes = b""
    ) -> bytes:
        process = self._mtools(command, content)
        if process.returncode:
            reason = _last_line(process.stderr)
            raise HostFailure(
                messages.BOOT_PARTITION(name=name, path=self.path, done=done, reason=reason)
            )
        return process.stdout

    def _start(
        self, action: Sequence[str], stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-I", raw_blocks.__file__, action[0], self.path, *action[1:]]
        return subprocess.Popen(
            [*self._sudo(), *program],
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        reason = _last_line(process.stderr.read())
        if not process.wait():
            return
        if found := re.fullmatch(r"errno (\d+): (.*)", reason):
            reason = found[2]
            if message := _BY_ERRNO.get(int(found[1])):
                raise HostFailure(message(path=self.path))
        raise HostFailure(messages.DISK_ERROR(path=self.path, reason=reason))

    def _mtools(
        self, command: Sequence[str], content: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        # Old images have geometries that mtools refuses without MTOOLS_SKIP_CHECK.
        settings = ["env", "MTOOLS_SKIP_CHECK=1", "LC_ALL=C.UTF-8"]
        return subprocess.run(
            [*self._sudo(), *settings, *command], input=content, capture_output=True
        )

    def _sudo(self) -> list[str]:
        if not self.disk or os.access(self.path, os.R_OK | os.W_OK):
            return []
        if not shutil.which("sudo"):
            raise HostFailure(messages.NO_SUDO(path=self.path))
        return ["sudo"]


def require_mtools() -> None:
    """Raise ``HostFailure`` when mtools is not installed."""
    if not shutil.which("mcopy"):
        raise HostFailure(messages.NO_MTOOLS())


def image_file(path: str) -> Target:
    """Return the image file at a path, new or not; ``HostFailure`` where none can be."""
    file = Path(path).expanduser()
    if file.is_block_device() or file.is_char_device():
        raise HostFailure(messages.FILE_IS_DEVICE(path=path))
    if file.exists() and not file.is_file():
        raise HostFailure(messages.NOT_A_FILE(path=path))
    if not file.parent.is_dir():
        raise HostFailure(messages.NO_FOLDER(folder=file.parent))
    size = file.stat().st_size if file.exists() else 0
    return Target(str(file), size, disk=False)


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    """Open a pipe's two ends as files, since gevent delays ``os.close``."""
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb"), os.fdopen(writing, "wb")


def _last_line(output: bytes) -> str:
    lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no reason given"
