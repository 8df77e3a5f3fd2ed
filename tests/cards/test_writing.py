"""A card's writing and comparing, step by step, on image files."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from rich.console import Console

from formats import card_record
from messages import Said
from messages import sdcard as messages
from operations.base import HostFailure
from operations.sdcard import raw_blocks
from operations.sdcard.target import Target, image_file, require_mtools
from operations.sdcard.verify import DesiredCard, Difference, compare
from operations.sdcard.write import write_boot_files, write_card
from tests.cards import images
from workstation import progress


class Host:
    """Of pyinfra's, what is used here."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def log(self, message: str) -> None:
        self.said.append(message)


HOST = Host()

INCOMPLETE = messages.NOT_COMPLETE(node="node1")


def failure(work: Callable[[], object]) -> Said:
    """The message with which it fails."""
    with pytest.raises(HostFailure) as reason:
        work()
    said: Said = reason.value.args[0]
    return said


DESIRED = DesiredCard(
    node="node1",
    image="own.img",
    checksum="ab" * 32,
    files={"user-data": b"#cloud-config\n", "meta-data": b"instance-id: node1\n"},
    command_line=lambda line: line if b"x=1" in line else line.rstrip(b"\n") + b" x=1\n",
)


def write(path: Path, image: Path, desired: DesiredCard = DESIRED) -> Path:
    write_card(image_file(str(path)), image, desired, HOST)  # type: ignore[arg-type]
    return path


def difference(path: Path, desired: DesiredCard = DESIRED) -> Difference:
    return compare(image_file(str(path)), desired, HOST)  # type: ignore[arg-type]


@pytest.mark.parametrize("table", ["mbr", "gpt"])
def test_a_written_card_does_not_differ(tools: None, tmp_path: Path, table: str) -> None:
    image = images.make(tmp_path / "own.img", table)
    card = write(tmp_path / "card.img", image)
    assert difference(card) == Difference(None, {})
    begin, end = images.BOOT_START, images.BOOT_START + images.BOOT_SIZE
    made, whole = card.read_bytes(), image.read_bytes()
    assert (made[:begin], made[end:]) == (whole[:begin], whole[end:])
    record = card_record.parse(images.get(card, card_record.FILE))
    assert record.rest == sha256(whole[card_record.HEAD : begin] + whole[end:]).hexdigest()


def test_writing_and_verifying_are_reported(image: Path, tmp_path: Path) -> None:
    HOST.said.clear()
    write(tmp_path / "card.img", image)
    written, read = HOST.said
    assert written.startswith("Written: 25.2 MB in ")
    assert read.startswith("Verified: 25.2 MB in ")


def test_the_reason_for_writing_all_of_it_is_given(image: Path, tmp_path: Path) -> None:
    card = tmp_path / "card.img"
    assert difference(card).reason == "the file is new"
    good = write(card, image).read_bytes()
    today = card_record.parse(images.get(card, card_record.FILE)).written
    other = replace(DESIRED, node="node2")
    assert difference(card, other).reason == messages.OTHER_NODE(node="node1", written=today)
    other = replace(DESIRED, checksum="cd" * 32)
    assert difference(card, other).reason == messages.OTHER_IMAGE(image="own.img", written=today)

    def changed(at: int) -> Path:
        card.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        return card

    assert difference(changed(440)).reason == messages.BOOTED()
    for at in (card_record.HEAD, images.BOOT_START - 1, images.SIZE - 1):
        assert difference(changed(at)).reason == messages.BLOCKS_CHANGED()
    card.write_bytes(good)
    images.put(card, card_record.FILE, "{")
    assert difference(card).reason == messages.CARD_RECORD_DAMAGED(name=card_record.FILE)
    assert difference(image).reason == messages.NOT_BY_BRAMBLE()


def test_only_the_boot_file_that_differs_is_written(image: Path, tmp_path: Path) -> None:
    card = write(tmp_path / "card.img", image)
    images.put(card, "config.txt", "arm_freq=600\n")
    other = replace(DESIRED, files={**DESIRED.files, "user-data": b"#cloud-config\nfqdn: x\n"})
    assert difference(card, other) == Difference(None, {"user-data": b"#cloud-config\n"})
    write_boot_files(image_file(str(card)), other)
    assert difference(card, other) == Difference(None, {})
    assert images.get(card, "config.txt") == "arm_freq=600\n", "that one is its owner's"


def test_an_edited_command_line_is_corrected(image: Path, tmp_path: Path) -> None:
    card = write(tmp_path / "card.img", image)
    assert images.get(card, "cmdline.txt").endswith(" rootwait x=1\n")
    images.put(card, "cmdline.txt", "console=serial0 x=1\n")
    assert difference(card).files == {}, "what else is in it is their own"
    images.put(card, "cmdline.txt", "console=serial0\n")
    assert list(difference(card).files) == ["cmdline.txt"]


def test_a_card_is_marked_as_incomplete_while_its_files_are_written(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = write(tmp_path / "card.img", image)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Target, "write_boot_file", cut)
    with pytest.raises(KeyboardInterrupt):
        write_boot_files(image_file(str(card)), DESIRED)
    assert difference(card).reason == INCOMPLETE


def test_a_card_that_loses_data_fails_verification(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fake card takes everything and keeps the beginning; here, one block is lost."""
    true = Target.blocks

    def blocks(self: Target, offset: int, length: int) -> object:
        return (block[:-1] + b"?" for block in true(self, offset, length))

    monkeypatch.setattr(Target, "blocks", blocks)
    card = tmp_path / "card.img"
    said = failure(lambda: write(card, image))
    assert said == messages.VERIFICATION_FAILED(path=card, what="the image")
    assert card_record.marked((tmp_path / "card.img").read_bytes()) == "node1"


def test_a_truncated_archive_leaves_an_incomplete_card(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "half.img.xz").write_bytes(packed.read_bytes()[:-2_000_000])
    said = failure(lambda: write(tmp_path / "card.img", tmp_path / "half.img.xz"))
    assert said.message is messages.NOT_UNPACKED
    assert difference(tmp_path / "card.img").reason == INCOMPLETE


def test_a_truncated_image_leaves_an_incomplete_card(image: Path, tmp_path: Path) -> None:
    (tmp_path / "half.img").write_bytes(image.read_bytes()[:-2_000_000])
    half = tmp_path / "half.img"
    said = failure(lambda: write(tmp_path / "card.img", half))
    assert said == messages.IMAGE_CUT_SHORT(image=half)
    assert difference(tmp_path / "card.img").reason == INCOMPLETE


def test_a_file_that_is_no_image_is_refused_before_writing(tmp_path: Path) -> None:
    (tmp_path / "page.img").write_text("<html>404</html>")
    said = failure(lambda: write(tmp_path / "card.img", tmp_path / "page.img"))
    assert said.message is messages.NOT_BOOTABLE
    assert not (tmp_path / "card.img").exists()


def test_an_image_for_another_kind_of_board_is_refused(image: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.img"
    other.write_bytes(image.read_bytes())
    images.run("mdel", "-i", f"{other}@@{images.BOOT_START}", "::cmdline.txt")
    said = failure(lambda: write(tmp_path / "card.img", other))
    assert said.message is messages.NOT_BOOTABLE
    assert "cmdline.txt" in said.words


def test_a_progress_bar_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=100)
    monkeypatch.setattr(progress, "Console", lambda **_: terminal)
    monkeypatch.setattr(progress, "_REFRESH_S", 0)
    HOST.said.clear()
    with progress.show_progress(HOST, "Writing", "Written") as advance:  # type: ignore[arg-type]
        advance(500_000_000, 1_000_000_000)
        advance(1_000_000_000, 1_000_000_000)
    assert "Writing" in screen.getvalue()
    assert "0.5/1.0 GB" in screen.getvalue()
    assert HOST.said[0].startswith("Written: 1.0 GB in 0 s (")


def test_only_raw_block_io_and_mtools_run_as_root(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk that is root's: as an ordinary user, by a sudo that notes what it is asked for."""
    disk, log = tmp_path / "disk", tmp_path / "log"
    disk.write_bytes(bytes(images.SIZE))
    sudo = tmp_path / "bin/sudo"
    sudo.parent.mkdir()
    sudo.write_text(f'#!/bin/sh\necho "$*" >> {log}\nexec "$@"\n')
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{sudo.parent}:{os.environ['PATH']}")
    true = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != str(disk) and true(path, mode))
    write_card(Target(str(disk), images.SIZE, disk=True), image, DESIRED, HOST)  # type: ignore[arg-type]
    assert difference(disk) == Difference(None, {})
    own = f"{sys.executable} -I {raw_blocks.__file__} "
    tools = "env MTOOLS_SKIP_CHECK=1 LC_ALL=C.UTF-8 m"
    assert {line.startswith((own, tools)) for line in log.read_text().splitlines()} == {True}
    assert "cloud-config" not in log.read_text(), "contents go by standard input"
    sudo.unlink()
    monkeypatch.setenv("PATH", str(sudo.parent))
    said = failure(lambda: Target(str(disk), images.SIZE, disk=True).read(0, 1))
    assert said == messages.NO_SUDO(path=disk)


def test_an_image_file_needs_a_folder_and_a_plain_path(tmp_path: Path) -> None:
    def refused(path: object) -> Said:
        return failure(lambda: image_file(str(path)))

    assert refused("/dev/null") == messages.FILE_IS_DEVICE(path="/dev/null")
    assert refused(tmp_path) == messages.NOT_A_FILE(path=tmp_path)
    assert refused(tmp_path / "a/b.img") == messages.NO_FOLDER(folder=tmp_path / "a")


def test_missing_mtools_is_refused_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert failure(require_mtools) == messages.NO_MTOOLS()
