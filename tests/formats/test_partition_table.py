"""Partition tables: of a Raspberry Pi image, of sfdisk's making, and damaged ones."""

from __future__ import annotations

import struct
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import partition_table
from formats.partition_table import LENGTH, SECTOR, Partition
from tests import needs
from tests.said import saying

MB = 1024 * 1024


def mbr(*partitions: tuple[int, int, int]) -> bytes:
    """An MBR with these (type, first sector, sectors)."""
    entries = b"".join(
        bytes([0, 0, 0, 0, kind, 0, 0, 0]) + struct.pack("<II", start, size)
        for kind, start, size in partitions
    )
    return bytes(446) + entries.ljust(64, b"\0") + b"\x55\xaa"


# What the image of Raspberry Pi OS Lite has: its boot partition at 8 MiB, 512 MiB long.
RASPIOS = mbr((0x0C, 16384, 1048576), (0x83, 1064960, 4915200))


def sfdisk(path: Path, script: str) -> bytes:
    needs.here("sfdisk", root=False)
    path.write_bytes(bytes(16 * MB))
    subprocess.run(["sfdisk", "-q", str(path)], input=script, text=True, check=True)
    return path.read_bytes()[:LENGTH]


def test_raspberry_pi_os() -> None:
    boot, root = partition_table.parse(RASPIOS)
    assert boot == Partition(8 * MB, 512 * MB, fat=True)
    assert root == Partition(520 * MB, 2400 * MB, fat=False)
    assert partition_table.boot_partition([boot, root]) == boot
    assert partition_table.needed([boot, root]) == 2920 * MB


@given(
    st.lists(
        st.tuples(
            st.integers(1, 255).filter(lambda kind: kind != 0xEE),
            st.integers(1, 2**32 - 1),
            st.integers(1, 2**32 - 1),
        ),
        max_size=4,
    )
)
def test_every_mbr_is_read_as_it_was_made(parts: list[tuple[int, int, int]]) -> None:
    found = partition_table.parse(mbr(*parts))
    assert [(each.start, each.size) for each in found] == [
        (start * SECTOR, size * SECTOR) for _, start, size in parts
    ]


@given(st.binary(max_size=LENGTH))
def test_no_other_bytes_end_in_anything_but_words(content: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(partition_table.parse(content), list)


def test_a_gpt_is_read(tmp_path: Path) -> None:
    script = "label: gpt\nstart=2048, size=4096, type=linux\nstart=8192, size=8192, type=uefi\n"
    found = partition_table.parse(sfdisk(tmp_path / "disk", script))
    assert found == [Partition(MB, 2 * MB, fat=False), Partition(4 * MB, 4 * MB, fat=True)]
    assert partition_table.boot_partition(found) is found[1]


def test_a_damaged_gpt_is_refused(tmp_path: Path) -> None:
    good = sfdisk(tmp_path / "disk", "label: gpt\nstart=2048, size=4096, type=uefi\n")
    for place, words in ((SECTOR + 40, "GPT header"), (2 * SECTOR + 33, "GPT entries")):
        bad = bytearray(good)
        bad[place] ^= 1
        with saying(f"FMT001 wrong checksum of the {words}"):
            partition_table.parse(bytes(bad))
    with saying("FMT001 no GPT header"):
        partition_table.parse(good[:SECTOR])


@pytest.mark.parametrize("content", [b"", bytes(LENGTH), b"bramble: this card".ljust(LENGTH)])
def test_no_table_is_told(content: bytes) -> None:
    with saying("FMT001 no partition table"):
        partition_table.parse(content)


def test_a_file_system_without_a_table_is_told() -> None:
    fat = bytearray(SECTOR)
    fat[0x52:0x57] = b"FAT32"
    fat[510:] = b"\x55\xaa"
    with saying("FMT001 a file system begins at the first block"):
        partition_table.parse(bytes(fat))


def test_an_image_that_no_board_starts_from_is_told() -> None:
    with saying("FMT001 no FAT partition"):
        partition_table.boot_partition(partition_table.parse(mbr((0x83, 2048, 4096))))
