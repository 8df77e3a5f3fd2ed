"""A card's writing and comparing, step by step, on image files."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from rich.console import Console

from formats import card_record
from operations.base import HostFailure
from operations.sdcard import raw_blocks
from operations.sdcard import target as card_target
from operations.sdcard import verify as card_state
from operations.sdcard import write as card_write
from operations.sdcard.unpack import UnpackError
from operations.sdcard.verify import Lacks, Wanted
from tests.cards import images
from workstation import progress


class Host:
    """Of pyinfra's, what is used here."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def log(self, message: str) -> None:
        self.said.append(message)


HOST = Host()
WANTED = Wanted(
    node="node1",
    image="own.img",
    checksum="ab" * 32,
    files={"user-data": b"#cloud-config\n", "meta-data": b"instance-id: node1\n"},
    command_line=lambda line: line if b"x=1" in line else line.rstrip(b"\n") + b" x=1\n",
)


def write(path: Path, image: Path, wanted: Wanted = WANTED) -> Path:
    card_write.whole(card_target.file_target(str(path)), image, wanted, HOST)  # type: ignore[arg-type]
    return path


def lacks(path: Path, wanted: Wanted = WANTED) -> Lacks:
    return card_state.compare(card_target.file_target(str(path)), wanted, HOST)  # type: ignore[arg-type]


@pytest.mark.parametrize("table", ["mbr", "gpt"])
def test_a_card_lacks_nothing_once_written(tools: None, tmp_path: Path, table: str) -> None:
    image = images.make(tmp_path / "own.img", table)
    card = write(tmp_path / "card.img", image)
    assert lacks(card) == Lacks(None, {})
    begin, end = images.BOOT_START, images.BOOT_START + images.BOOT_SIZE
    made, whole = card.read_bytes(), image.read_bytes()
    assert (made[:begin], made[end:]) == (whole[:begin], whole[end:])
    record = card_record.parse(images.get(card, card_record.FILE))
    assert record.rest == sha256(whole[card_record.HEAD : begin] + whole[end:]).hexdigest()


def test_it_is_written_and_read_back_in_words(image: Path, tmp_path: Path) -> None:
    HOST.said.clear()
    write(tmp_path / "card.img", image)
    written, read = HOST.said
    assert written.startswith("Written: 25.2 MB in ")
    assert read.startswith("Read back, and the same: 25.2 MB in ")


def test_it_is_said_why_all_of_it_has_to_be_written(image: Path, tmp_path: Path) -> None:
    card = tmp_path / "card.img"
    assert lacks(card).image == "it is not there yet"
    good = write(card, image).read_bytes()
    today = card_record.parse(images.get(card, card_record.FILE)).written
    assert lacks(card, replace(WANTED, node="node2")).image == f"it is node1's, written on {today}"
    other = replace(WANTED, checksum="cd" * 32)
    assert lacks(card, other).image == f"it holds own.img, written on {today}"

    def changed(at: int) -> Path:
        card.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        return card

    assert lacks(changed(440)).image == (
        "a board has started from it: its partitions are other ones"
    )
    for at in (card_record.HEAD, images.BOOT_START - 1, images.SIZE - 1):
        assert lacks(changed(at)).image == (
            "its blocks are not the image's: a board has started from it, or it is worn"
        )
    card.write_bytes(good)
    images.put(card, card_record.FILE, "{")
    assert lacks(card).image == "its bramble.json is damaged"
    assert lacks(image).image == "it is no card of bramble's"


def test_a_file_that_differs_is_written_alone(image: Path, tmp_path: Path) -> None:
    card = write(tmp_path / "card.img", image)
    images.put(card, "config.txt", "arm_freq=600\n")
    other = replace(WANTED, files={**WANTED.files, "user-data": b"#cloud-config\nfqdn: x\n"})
    assert lacks(card, other) == Lacks(None, {"user-data": b"#cloud-config\n"})
    card_write.boot_files(card_target.file_target(str(card)), other)
    assert lacks(card, other) == Lacks(None, {})
    assert images.get(card, "config.txt") == "arm_freq=600\n", "that one is its owner's"


def test_a_command_line_that_somebody_edited_is_set_right(image: Path, tmp_path: Path) -> None:
    card = write(tmp_path / "card.img", image)
    assert images.get(card, "cmdline.txt").endswith(" rootwait x=1\n")
    images.put(card, "cmdline.txt", "console=serial0 x=1\n")
    assert lacks(card).files == {}, "what else is in it is their own"
    images.put(card, "cmdline.txt", "console=serial0\n")
    assert list(lacks(card).files) == ["cmdline.txt"]


def test_a_card_is_marked_while_its_files_are_changed(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = write(tmp_path / "card.img", image)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(card_target.Target, "put_boot_file", cut)
    with pytest.raises(KeyboardInterrupt):
        card_write.boot_files(card_target.file_target(str(card)), WANTED)
    assert lacks(card).image == "it was not written to its end (as node1's)"


def test_a_card_that_forgets_is_found_out(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fake card takes everything and keeps the beginning; here, one block is lost."""
    true = card_target.Target.blocks

    def blocks(self: card_target.Target, offset: int, length: int) -> object:
        return (block[:-1] + b"?" for block in true(self, offset, length))

    monkeypatch.setattr(card_target.Target, "blocks", blocks)
    with pytest.raises(
        HostFailure, match=r"the image reads back otherwise than it was written: .* worn"
    ):
        write(tmp_path / "card.img", image)
    assert card_record.marked((tmp_path / "card.img").read_bytes()) == "node1"


def test_half_an_image_becomes_no_card(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "half.img.xz").write_bytes(packed.read_bytes()[:-2_000_000])
    with pytest.raises(UnpackError, match=r"half\.img\.xz can't be unpacked: "):
        write(tmp_path / "card.img", tmp_path / "half.img.xz")
    assert lacks(tmp_path / "card.img").image == "it was not written to its end (as node1's)"


def test_an_image_without_its_end_becomes_no_card(image: Path, tmp_path: Path) -> None:
    (tmp_path / "half.img").write_bytes(image.read_bytes()[:-2_000_000])
    with pytest.raises(HostFailure, match="ends before its last partition does: it is not whole"):
        write(tmp_path / "card.img", tmp_path / "half.img")
    assert lacks(tmp_path / "card.img").image == "it was not written to its end (as node1's)"


def test_what_is_no_image_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "page.img").write_text("<html>404</html>")
    with pytest.raises(HostFailure, match="is no image for a board: it has no partition table"):
        write(tmp_path / "card.img", tmp_path / "page.img")
    assert not (tmp_path / "card.img").exists()


def test_an_image_for_another_kind_of_board_is_refused(image: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.img"
    other.write_bytes(image.read_bytes())
    images.run("mdel", "-i", f"{other}@@{images.BOOT_START}", "::cmdline.txt")
    with pytest.raises(HostFailure, match=r"no image for a Raspberry Pi: it has no cmdline\.txt"):
        write(tmp_path / "card.img", other)


def test_a_bar_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=100)
    monkeypatch.setattr(progress, "Console", lambda **_: terminal)
    monkeypatch.setattr(progress, "_EACH_S", 0)
    HOST.said.clear()
    with progress.shown(HOST, "Writing", "Written") as advance:  # type: ignore[arg-type]
        advance(500_000_000, 1_000_000_000)
        advance(1_000_000_000, 1_000_000_000)
    assert "Writing" in screen.getvalue()
    assert "0.5/1.0 GB" in screen.getvalue()
    assert HOST.said[0].startswith("Written: 1.0 GB in 0 s, ")


def test_only_blocks_and_mtools_are_roots(
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
    card_write.whole(card_target.Target(str(disk), images.SIZE, disk=True), image, WANTED, HOST)  # type: ignore[arg-type]
    assert lacks(disk) == Lacks(None, {})
    own = f"{sys.executable} -I {raw_blocks.__file__} "
    tools = "env MTOOLS_SKIP_CHECK=1 LC_ALL=C.UTF-8 m"
    assert {line.startswith((own, tools)) for line in log.read_text().splitlines()} == {True}
    assert "cloud-config" not in log.read_text(), "contents go by standard input"
    sudo.unlink()
    monkeypatch.setenv("PATH", str(sudo.parent))
    with pytest.raises(HostFailure, match="is root's, and there is no sudo here: run this as root"):
        card_target.Target(str(disk), images.SIZE, disk=True).read(0, 1)


def test_places_for_an_image_file(tmp_path: Path) -> None:
    def refused(path: str) -> str:
        with pytest.raises(HostFailure) as reason:
            card_target.file_target(path)
        return str(reason.value)

    assert refused("/dev/null") == "/dev/null is a device: write --data device=/dev/null"
    assert refused(str(tmp_path)) == f"{tmp_path} is no file: name one, such as node1.img"
    assert refused(f"{tmp_path}/a/b.img") == (
        f"there is no folder {tmp_path}/a: make it, or name another file"
    )


def test_without_mtools_it_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(
        HostFailure, match=r"mtools is not installed, .*: sudo apt-get install mtools"
    ):
        card_target.require_tools()
