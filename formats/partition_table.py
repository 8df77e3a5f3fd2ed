"""
The partition table at the beginning of a disk or of an image of one: MBR or GPT.

Sources: UEFI specification 2.10, sections 5.2 (LBA 0 format: the MBR) and 5.3 (GPT disk layout);
the MBR's partition types as in util-linux's `pt-mbr-partnames.h`.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import dataclass

from formats.unreadable import Unreadable

SECTOR = 512
# What ``parse`` needs: the MBR, and GPT's header with the 128 entries that every tool makes.
LENGTH = 34 * SECTOR

_FAT = {0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E, 0xEF}
_PROTECTIVE = 0xEE
_GPT_HEADER = struct.Struct("<8s4sII4xQQQQ16sQIII")
_GPT_ENTRY = struct.Struct("<16s16sQQ")
# GPT has no type for FAT: an EFI system partition is FAT by definition, and tools give other FAT
# partitions Microsoft's "basic data" type.
_GPT_FAT = {
    uuid.UUID("C12A7328-F81F-11D2-BA4B-00A0C93EC93B"),
    uuid.UUID("EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"),
}


@dataclass(frozen=True)
class Partition:
    """
    One partition.

    + start, size: in bytes
    + fat: whether its type is one of those that hold a FAT file system
    """

    start: int
    size: int
    fat: bool

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.start + self.size


def parse(beginning: bytes) -> list[Partition]:
    """
    Read the partitions, in the order of their numbers.

    An MBR's logical partitions are left out: their extended partition, in which they lie, is there.

    + beginning: the first ``LENGTH`` bytes of the disk; fewer are enough for an MBR
    + raises ``Unreadable``: there is no table, or it is damaged
    """
    if len(beginning) < SECTOR or beginning[510:512] != b"\x55\xaa":
        raise Unreadable("no partition table")
    if beginning[0x36:0x39] == b"FAT" or beginning[0x52:0x57] == b"FAT32":
        raise Unreadable("no partition table: a file system begins at the first block")
    entries = [beginning[446 + 16 * index : 462 + 16 * index] for index in range(4)]
    if any(entry[0] & 0x7F for entry in entries):
        raise Unreadable("a damaged partition table")
    if any(entry[4] == _PROTECTIVE for entry in entries):
        return _gpt(beginning)
    found = []
    for entry in entries:
        kind = entry[4]
        start, size = struct.unpack_from("<II", entry, 8)
        if kind and size:
            if not start:
                raise Unreadable("a damaged partition table")
            found.append(Partition(start * SECTOR, size * SECTOR, kind in _FAT))
    return found


def boot_partition(partitions: list[Partition]) -> Partition:
    """
    Find the partition that the board's firmware reads: the first one with a FAT file system.

    + raises ``Unreadable``: there is none
    """
    for partition in partitions:
        if partition.fat:
            return partition
    raise Unreadable("no FAT partition, which a Raspberry Pi starts from")


def needed(partitions: list[Partition]) -> int:
    """Compute how many bytes a disk must have for all partitions."""
    return max((partition.end for partition in partitions), default=0)


def _gpt(beginning: bytes) -> list[Partition]:
    header = beginning[SECTOR : 2 * SECTOR]
    if len(header) < SECTOR or header[:8] != b"EFI PART":
        raise Unreadable("a damaged partition table: no GPT header")
    fields = _GPT_HEADER.unpack_from(header)
    length, checksum, table, count, width, entries_sum = (*fields[2:4], *fields[9:13])
    if not 92 <= length <= SECTOR or zlib.crc32(header[:16] + bytes(4) + header[20:length]) != (
        checksum
    ):
        raise Unreadable("a damaged partition table: wrong checksum of the GPT header")
    entries = beginning[table * SECTOR : table * SECTOR + count * width]
    if width < 128 or len(entries) < count * width:
        raise Unreadable("a partition table that is too long")
    if zlib.crc32(entries) != entries_sum:
        raise Unreadable("a damaged partition table: wrong checksum of the GPT entries")
    found = []
    for index in range(count):
        kind, _, first, last = _GPT_ENTRY.unpack_from(entries, index * width)
        if kind != bytes(16):
            fat = uuid.UUID(bytes_le=kind) in _GPT_FAT
            size = (last - first + 1) * SECTOR
            found.append(Partition(first * SECTOR, size, fat))
    return found
