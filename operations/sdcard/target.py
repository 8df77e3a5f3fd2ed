"""
What a card is written to: a disk of this computer, or an image file. Its blocks, and the files of
its boot partition (by mtools: nothing is mounted).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from operations.base import HostFailure
from operations.sdcard import raw_blocks

_BLOCK = raw_blocks.BLOCK


@dataclass(frozen=True)
class Target:
    """
    + path: of the disk, or of the image file
    + size: in bytes: the disk's, or what the file has at the moment
    + disk: whether it is a disk
    """

    path: str
    size: int
    disk: bool

    def read(self, offset: int, length: int) -> bytes:
        """These bytes, from the medium; fewer where it ends."""
        return b"".join(self.blocks(offset, length))

    def blocks(self, offset: int, length: int) -> Iterator[bytes]:
        """These bytes, block by block."""
        pipe, end = _pipe()
        with pipe:
            with end:
                process = self._start(["read", str(offset), str(length)], stdout=end)
            while block := pipe.read(_BLOCK):
                yield block
        _end(process)

    @contextmanager
    def writing(self, offset: int) -> Iterator[Callable[[bytes], object]]:
        """Write from there on with the function given; all is on the medium when the block ends."""
        end, pipe = _pipe()
        with end:
            process = self._start(["write", str(offset)], stdin=end)
        try:
            with suppress(BrokenPipeError), pipe:
                yield pipe.write
        except BaseException:
            process.wait()  # it ends with the pipe
            raise
        _end(process)

    def boot_names(self, boot: int) -> set[str] | None:
        """
        The names in the boot partition's topmost folder, in small letters (FAT has no others).

        + boot: where it begins, in bytes
        + returns: None when there is no FAT file system
        """
        done = self._mtools(["mdir", "-b", "-i", f"{self.path}@@{boot}", "::/"])
        if done.returncode:
            return None
        return {line.removeprefix("::/").lower() for line in done.stdout.decode().splitlines()}

    def boot_file(self, boot: int, name: str) -> bytes:
        """The content of one of them."""
        done = self._mtools(["mtype", "-i", f"{self.path}@@{boot}", f"::/{name}"])
        if done.returncode:
            raise HostFailure(f"{name} on {self.path} can't be read: {_words(done.stderr)}")
        return done.stdout

    def put_boot_file(self, boot: int, name: str, content: bytes) -> None:
        """Put a file there, in place of one that is there already."""
        # -D o: overwrite without a question.
        command = ["mcopy", "-D", "o", "-i", f"{self.path}@@{boot}", "-", f"::/{name}"]
        done = self._mtools(command, content)
        if done.returncode:
            raise HostFailure(f"{name} can't be put on {self.path}: {_words(done.stderr)}")

    def _start(
        self, action: Sequence[str], stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-I", raw_blocks.__file__, action[0], self.path, *action[1:]]
        return subprocess.Popen(
            [*self._as_root(), *program],
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )

    def _mtools(
        self, command: Sequence[str], content: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        # Images of old have odd geometries, which mtools would refuse.
        settings = ["env", "MTOOLS_SKIP_CHECK=1", "LC_ALL=C.UTF-8"]
        return subprocess.run(
            [*self._as_root(), *settings, *command], input=content, capture_output=True
        )

    def _as_root(self) -> list[str]:
        if not self.disk or os.access(self.path, os.R_OK | os.W_OK):
            return []
        if not shutil.which("sudo"):
            raise HostFailure(f"{self.path} is root's, and there is no sudo here: run this as root")
        return ["sudo"]


def require_tools() -> None:
    """Refuse to begin without mtools."""
    if not shutil.which("mcopy"):
        raise HostFailure(
            "mtools is not installed, which fills the boot partition: sudo apt-get install mtools "
            "(macOS: brew install mtools)"
        )


def file_target(path: str) -> Target:
    """The image file at a path, which may have to be made. Refuses what is no place for one."""
    file = Path(path).expanduser()
    if file.is_block_device() or file.is_char_device():
        raise HostFailure(f"{path} is a device: write --data device={path}")
    if file.exists() and not file.is_file():
        raise HostFailure(f"{path} is no file: name one, such as node1.img")
    if not file.parent.is_dir():
        raise HostFailure(f"there is no folder {file.parent}: make it, or name another file")
    size = file.stat().st_size if file.exists() else 0
    return Target(str(file), size, disk=False)


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    """A pipe's two ends. As files: they are closed at once, which gevent's `os.close` puts off."""
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb"), os.fdopen(writing, "wb")


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stderr is not None
    said = process.stderr.read()
    if process.wait():
        raise HostFailure(_words(said))


def _words(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it ended without a word"
