"""Cards as disks: loop devices, which are built in as far as the kernel knows."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from formats import card_record
from messages import codes
from messages import sdcard as messages
from operations.base import HostFailure
from operations.sdcard.target import Target
from tests import needs
from tests.cards import images
from tests.cards.runs import Run, command, cut, interrupt

BEFORE = b"what was on the card"
Loop = Callable[..., tuple[str, Path]]


@pytest.fixture
def loop(tools: None, tmp_path: Path) -> Iterator[Loop]:
    """Makes disks of so many MB, and takes them away: the device, and the file behind it."""
    needs.here("losetup", "mkfs.ext4", "findmnt", "unshare")
    made: list[str] = []

    def make(size: int = 32) -> tuple[str, Path]:
        behind = tmp_path / f"disk{len(made)}"
        behind.write_bytes(BEFORE)
        os.truncate(behind, size * images.MB)
        made.append(images.run("losetup", "--find", "--show", str(behind)).strip())
        return made[-1], behind

    try:
        yield make
    finally:
        for device in made:
            subprocess.run(["losetup", "--detach", device], check=False)


def keyboard(*lines: str) -> int:
    """A terminal at which somebody has typed this."""
    master, slave = os.openpty()
    os.write(master, "".join(f"{line}\n" for line in lines).encode())
    return slave


def test_end_of_file_at_the_question_is_a_no(sdcard: Run, loop: Loop, packed: Path) -> None:
    device, behind = loop()
    # Ctrl-D; that no traceback is shown, every run asserts.
    done = sdcard(
        "-y", keyboard=keyboard("\x04"), node="node1", device=device, image=packed, any_disk=True
    )
    assert done.returncode == 1
    assert codes(done.stdout)[-1] == messages.NOT_CONFIRMED.code
    assert behind.read_bytes().startswith(BEFORE)


@pytest.mark.parametrize(
    ("arguments", "question", "answer"),
    [(["-y"], b"Type yes", b"yes\n"), ([], b"Detected changes displayed above", b"\nyes\n")],
)
def test_a_card_swapped_while_a_question_is_open_is_not_written(
    project: Path, loop: Loop, packed: Path, arguments: list[str], question: bytes, answer: bytes
) -> None:
    """Of the same model and size, and with as little on it as lsblk can tell."""
    device, behind = loop()
    master, slave = os.openpty()
    run = subprocess.Popen(
        command(*arguments, node="node1", device=device, image=packed, any_disk=True),
        cwd=project,
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert run.stdout is not None
    said = b""
    while question not in said:
        block = os.read(run.stdout.fileno(), 4096)
        assert block, f"it ended without a question: {said.decode()}"
        said += block
    other = BEFORE.replace(b"was", b"is ")
    with behind.open("r+b") as file:
        file.write(other)
    os.write(master, answer)
    said += run.communicate()[0]
    assert messages.DISK_CHANGED(path=device) in said.decode()
    assert run.returncode == 1
    assert behind.read_bytes().startswith(other)


def test_a_card_is_written_after_a_yes_and_is_up_to_date_then(
    sdcard: Run, loop: Loop, image: Path, packed: Path
) -> None:
    device, behind = loop()
    card: dict[str, object] = {"node": "node1", "device": device, "image": packed, "any_disk": True}

    alone = sdcard(**card)
    assert alone.returncode == 1
    assert codes(alone.stdout)[-1] == messages.NO_TERMINAL.code
    no = sdcard("-y", keyboard=keyboard("no"), **card)
    assert no.returncode == 1
    assert f"{device}: 33.6 MB" in no.stdout
    assert "Write it and lose ALL DATA on it? Type yes" in no.stdout
    assert codes(no.stdout)[-1] == messages.NOT_CONFIRMED.code
    assert behind.read_bytes().startswith(BEFORE)

    yes = sdcard("-y", keyboard=keyboard("yes"), **card)
    assert yes.returncode == 0
    assert "and verify it: ALL DATA ON IT WILL BE LOST" in yes.stdout
    assert f"{device} is now the card of node1" in yes.stdout
    begin, end = images.BOOT_START, images.BOOT_START + images.BOOT_SIZE
    whole, made = image.read_bytes(), behind.read_bytes()
    assert (made[:begin], made[end : images.SIZE]) == (whole[:begin], whole[end:])
    assert images.names(behind) >= {"user-data", "meta-data", "network-config"}
    again = sdcard(**card)
    assert again.returncode == 0
    assert f"{device} is up to date: node node1" in again.stdout


def test_ctrl_c_at_the_question_of_the_operation_exits_with_a_failure(
    project: Path, loop: Loop, packed: Path
) -> None:
    device, behind = loop()
    card: dict[str, object] = {"node": "node1", "device": device, "image": packed, "any_disk": True}
    status, said = interrupt(project, "Type yes", "-y", **card)
    assert status == 1
    assert said.splitlines()[-1].endswith("(RUN017)")
    assert "Traceback" not in said
    assert behind.read_bytes().startswith(BEFORE)


def test_an_interrupted_card_is_written_again_by_the_next_run(
    sdcard: Run, project: Path, loop: Loop, image: Path, packed: Path
) -> None:
    device, behind = loop()
    card: dict[str, object] = {"node": "node1", "device": device, "image": packed}
    card |= {"any_disk": True, "yes": True}

    def some_of_it_is_there() -> bool:
        with behind.open("rb") as file:
            file.seek(images.BOOT_START)
            return file.read(3) != bytes(3)

    cut(project, some_of_it_is_there, **card)
    assert card_record.marked(behind.read_bytes()) == "node1"
    done = sdcard(**card)
    assert messages.NOT_COMPLETE.code in codes(done.stdout)
    assert done.returncode == 0
    assert behind.read_bytes()[: card_record.HEAD] == image.read_bytes()[: card_record.HEAD]


def test_unfit_disks_are_refused(sdcard: Run, loop: Loop, packed: Path, tmp_path: Path) -> None:
    """As lsblk of this computer shows them; `test_disk_choice` has all cases."""
    device, behind = loop()

    def refused(**data: object) -> str:
        done = sdcard(**{"node": "node1", "device": device, "image": packed, "yes": True, **data})
        assert done.returncode == 1
        assert behind.read_bytes().startswith(BEFORE)
        return done.stdout

    assert messages.NOT_REMOVABLE(disk=f"{device} (33.6 MB)") in refused()
    small, _ = loop(8)
    told = refused(device=small, any_disk=True)
    assert messages.TOO_SMALL(path=small, size="8.4 MB", needed="25.2 MB") in told
    other, _ = loop()
    images.run("mkfs.ext4", "-q", other)
    (tmp_path / "media").mkdir()
    images.run("mount", other, str(tmp_path / "media"))
    try:
        told = refused(device=other, any_disk=True)
        assert messages.MOUNTED(partition=other, mount=tmp_path / "media") in told
    finally:
        images.run("umount", other)


# A system that runs from the disk $1, mounted at $2: all that is in this one's / is there too.
SYSTEM = """set -e
mount "$1" "$2"
for each in /*; do
  if [ -L "$each" ]; then cp -P "$each" "$2/"
  elif [ -d "$each" ]; then mkdir -p "$2$each"; mount --rbind "$each" "$2$each"; fi
done
top=$2; shift 2
exec chroot "$top" sh -c 'cd "$1"; shift; exec "$@"' sh "$PWD" "$@\""""


def test_the_disk_that_the_system_runs_from_is_refused(
    project: Path, loop: Loop, packed: Path, tmp_path: Path
) -> None:
    disk, _ = loop()
    images.run("mkfs.ext4", "-q", disk)
    top = tmp_path / "system"
    top.mkdir()
    # --dry, for the day when this test fails.
    card = command("--dry", node="node1", device=disk, image=packed, any_disk=True)
    system = ["unshare", "--mount", "sh", "-c", SYSTEM, "sh", disk, str(top), *card]
    done = subprocess.run(
        system, cwd=project, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    said = done.stdout + done.stderr
    assert messages.SYSTEM_DISK(path=disk, mount="/") in said, said
    assert done.returncode == 1


def test_the_kernel_keeps_a_disk_in_use_from_being_written(loop: Loop, tmp_path: Path) -> None:
    """For what is mounted after the look at it."""
    device, _ = loop()
    images.run("mkfs.ext4", "-q", device)
    images.run("mount", device, str(tmp_path))
    try:
        target = Target(device, 32 * images.MB, disk=True)
        with pytest.raises(HostFailure) as reason, target.writing(0) as write:
            write(bytes(1_000_000))
        assert reason.value.args[0] == messages.DISK_BUSY(path=device)
    finally:
        images.run("umount", device)
