"""
A card written: the image, the boot partition's files, and last of all the partition table.

The first block, with the partition table, is held back until everything else is on the card and was
read back. A card that the power cut short has a note in its place: no board starts from it, no
desktop mounts it meanwhile, and the next run begins again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from hashlib import sha256
from pathlib import Path

from pyinfra.api.host import Host

from formats import card_record, partition_table
from formats.card_record import HEAD, Record
from formats.partition_table import Partition
from operations.base import HostFailure
from operations.sdcard import disk as card_choice
from operations.sdcard import unpack
from operations.sdcard.raw_blocks import BLOCK
from operations.sdcard.target import Target
from operations.sdcard.verify import COMMAND_LINE, Wanted, rest
from workstation import progress


def beginning(image: Path) -> bytes:
    """What an image begins with, as far as the partition table goes. Raises ``UnpackError``."""
    with unpack.opened(image) as source:
        return source.read(partition_table.LENGTH)


def layout(image: Path, first: bytes) -> list[Partition]:
    """The image's partitions, which a board can start from. ``HostFailure`` when it could not."""
    try:
        partitions = partition_table.parse(first)
        boot = partition_table.boot_partition(partitions)
    except ValueError as error:
        raise HostFailure(f"{image} is no image for a board: {error}") from error
    if boot.start < HEAD:
        raise HostFailure(f"{image} is no image for a board: its boot partition begins too early")
    return partitions


def whole(target: Target, image: Path, wanted: Wanted, host: Host) -> None:
    """Write all of it: whatever was on the target is lost."""
    with unpack.opened(image) as source:
        first = source.read(partition_table.LENGTH)
        partitions = layout(image, first)
        boot = partition_table.boot_partition(partitions)
        needed = partition_table.needed(partitions)
        card_choice.fits(target, needed)
        if not target.disk:
            Path(target.path).unlink(missing_ok=True)
            Path(target.path).touch(mode=0o600)  # it will hold secrets
        _spoil(target, wanted.node)
        written = _Sums(boot)
        with progress.shown(host, "Writing", "Written") as advance, target.writing(HEAD) as write:
            block = first[HEAD:]
            while block:
                write(block)
                written.add(block)
                advance(written.size, needed)
                block = source.read(BLOCK)
    if written.size < needed:
        raise HostFailure(f"{image} ends before its last partition does: it is not whole")
    _read_back(target, written, host)
    record = Record(
        node=wanted.node,
        image=wanted.image,
        checksum=wanted.checksum,
        size=written.size,
        head=sha256(first[:HEAD]).hexdigest(),
        rest=written.rest.hexdigest(),
        written=date.today().isoformat(),
    )
    _finish(target, boot, wanted, first[:HEAD], {card_record.FILE: _record(record)})


def boot_files(target: Target, wanted: Wanted) -> None:
    """Write the boot partition's files alone, on a card that is otherwise as it should be."""
    first = target.read(0, partition_table.LENGTH)
    boot = partition_table.boot_partition(partition_table.parse(first))
    _spoil(target, wanted.node)
    _finish(target, boot, wanted, first[:HEAD], {})


def _spoil(target: Target, node: str) -> None:
    """From now on this is not a card, until its beginning is written."""
    with target.writing(0) as write:
        write(card_record.mark(node))


def _finish(
    target: Target, boot: Partition, wanted: Wanted, head: bytes, more: Mapping[str, bytes]
) -> None:
    """The boot partition's files, read back, and the first block, which makes it a card."""
    names = target.boot_names(boot.start)
    if names is None:
        raise HostFailure(f"the boot partition of {wanted.image} has no FAT file system")
    if COMMAND_LINE not in names:
        raise HostFailure(
            f"{wanted.image} is no image for a Raspberry Pi: it has no {COMMAND_LINE}"
        )
    line = wanted.command_line(target.boot_file(boot.start, COMMAND_LINE))
    files = {**wanted.files, COMMAND_LINE: line, **more}
    for name, content in files.items():
        target.put_boot_file(boot.start, name, content)
    with target.writing(HEAD) as _:
        pass  # until it ends, what mtools wrote may be in this computer's memory only
    for name, content in files.items():
        if target.boot_file(boot.start, name) != content:
            raise HostFailure(_other(target, name))
    with target.writing(0) as write:
        write(head)
    if target.read(0, HEAD) != head:
        raise HostFailure(_other(target, "its partition table"))


def _read_back(target: Target, written: _Sums, host: Host) -> None:
    found = sha256()
    behind = 0
    with progress.shown(host, "Reading back", "Read back, and the same") as advance:
        for block in target.blocks(HEAD, written.size - HEAD):
            found.update(block)
            behind += len(block)
            advance(behind, written.size - HEAD)
    if found.digest() != written.all.digest():
        raise HostFailure(_other(target, "the image"))


def _other(target: Target, what: str) -> str:
    return f"{what} reads back otherwise than it was written: {target.path} is worn, or a fake card"


def _record(record: Record) -> bytes:
    return card_record.render(record).encode()


class _Sums:
    """The checksums of what is written behind the first block: of all, and of what will stay."""

    def __init__(self, boot: Partition) -> None:
        self.all = sha256()
        self.rest = sha256()
        self.size = HEAD
        self._boot = boot

    def add(self, block: bytes) -> None:
        self.all.update(block)
        for begin, end in self._kept(self.size, self.size + len(block)):
            self.rest.update(block[begin - self.size : end - self.size])
        self.size += len(block)

    def _kept(self, begin: int, end: int) -> Iterable[tuple[int, int]]:
        for first, last in rest(self._boot, end):
            if max(first, begin) < min(last, end):
                yield max(first, begin), min(last, end)
