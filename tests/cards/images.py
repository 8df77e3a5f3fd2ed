"""Small images of cards, as a publisher would have them: a partition table, FAT, and a root."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

MB = 1024 * 1024
BOOT_START = 4 * MB
BOOT_SIZE = 12 * MB
SIZE = 24 * MB
COMMAND_LINE = "console=tty1 root=PARTUUID=1234-02 rootwait\n"

TABLE = {
    "mbr": "label: dos\nstart=8192, size=24576, type=c\nstart=32768, type=83\n",
    "gpt": "label: gpt\nstart=8192, size=24576, type=uefi\nstart=32768, type=linux\n",
}


def make(path: Path, table: str = "mbr", seed: int = 1) -> Path:
    """
    An image of 24 MB.

    + table: "mbr" or "gpt"
    + seed: of what its root partition holds: another one is another image
    """
    path.write_bytes(bytes(SIZE))
    run("sfdisk", "-q", str(path), stdin=TABLE[table])
    fat = path.with_suffix(".fat")
    fat.write_bytes(bytes(BOOT_SIZE))
    run("mkfs.vfat", "-n", "bootfs", str(fat))
    content = random.Random(seed).randbytes(6 * MB)
    with path.open("r+b") as file:
        file.seek(BOOT_START)
        file.write(fat.read_bytes())
        file.write(content)
    fat.unlink()
    put(path, "cmdline.txt", COMMAND_LINE)
    put(path, "config.txt", "arm_64bit=1\n")
    return path


def put(image: Path, name: str, text: str) -> None:
    """Put a file on its boot partition."""
    run("mcopy", "-D", "o", "-i", f"{image}@@{BOOT_START}", "-", f"::{name}", stdin=text)


def get(image: Path, name: str) -> str:
    """A file on its boot partition."""
    return run("mtype", "-i", f"{image}@@{BOOT_START}", f"::{name}")


def names(image: Path) -> set[str]:
    """The names on its boot partition."""
    listed = run("mdir", "-b", "-i", f"{image}@@{BOOT_START}", "::/")
    return {line.removeprefix("::/") for line in listed.splitlines()}


def run(*command: str, stdin: str = "") -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
