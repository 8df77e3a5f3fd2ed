"""
Write an SD card: the image, the boot partition's files, and last of all the partition table.

The first block, with the partition table, is held back until everything else is written and
verified. Until then a mark stands in its place: no board boots from a card that was interrupted, no
desktop mounts it, and the next run writes it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from hashlib import sha256
from pathlib import Path

from pyinfra.api.host import Host

from formats import card_record, partition_table
from formats.card_record import HEAD, Record
from formats.partition_table import Partition
from messages import sdcard as messages
from operations.base import HostFailure
from operations.sdcard import verify
from operations.sdcard.disk import check_size
from operations.sdcard.image import opened, partitions_of
from operations.sdcard.raw_blocks import BLOCK
from operations.sdcard.target import Target
from operations.sdcard.verify import COMMAND_LINE, DesiredCard
from workstation.progress import show_progress


def write_card(target: Target, image: Path, desired: DesiredCard, host: Host) -> None:
    """Write all of a card, and verify it: whatever was on the target is lost."""
    with opened(image) as source:
        beginning = source.read(partition_table.LENGTH)
        partitions = partitions_of(image, beginning)
        boot = partition_table.boot_partition(partitions)
        needed = partition_table.needed(partitions)
        check_size(target, needed)
        if not target.disk:
            Path(target.path).unlink(missing_ok=True)
            Path(target.path).touch(mode=0o600)  # it will hold secrets
        _mark_incomplete(target, desired.node)
        written = verify.Checksums(boot)
        with show_progress(host, "Writing", "Written") as advance, target.writing(HEAD) as write:
            block = beginning[HEAD:]
            while block:
                write(block)
                written.add(block)
                advance(written.size, needed)
                block = source.read(BLOCK)
    if written.size < needed:
        raise HostFailure(messages.IMAGE_CUT_SHORT(image=image))
    verify.read_back(target, written, host)
    record = Record(
        node=desired.node,
        image=desired.image,
        checksum=desired.checksum,
        size=written.size,
        head=sha256(beginning[:HEAD]).hexdigest(),
        rest=written.rest.hexdigest(),
        written=date.today().isoformat(),
    )
    record_file = {card_record.FILE: card_record.render(record).encode()}
    _finish(target, boot, desired, beginning[:HEAD], record_file)


def write_boot_files(target: Target, desired: DesiredCard) -> None:
    """Write only the boot partition's files, on a card whose blocks are the image's."""
    beginning = target.read(0, partition_table.LENGTH)
    boot = partition_table.boot_partition(partition_table.parse(beginning))
    _mark_incomplete(target, desired.node)
    _finish(target, boot, desired, beginning[:HEAD], {})


def _mark_incomplete(target: Target, node: str) -> None:
    with target.writing(0) as write:
        write(card_record.mark(node))


def _finish(
    target: Target, boot: Partition, desired: DesiredCard, head: bytes, more: Mapping[str, bytes]
) -> None:
    """Write and verify the boot partition's files, then the first block, which makes it a card."""
    names = target.boot_names(boot.start)
    if names is None:
        reason = "its boot partition has no FAT file system"
        raise HostFailure(messages.NOT_BOOTABLE(image=desired.image, reason=reason))
    if COMMAND_LINE not in names:
        reason = f"its boot partition has no {COMMAND_LINE}"
        raise HostFailure(messages.NOT_BOOTABLE(image=desired.image, reason=reason))
    line = desired.command_line(target.read_boot_file(boot.start, COMMAND_LINE))
    files = {**desired.files, COMMAND_LINE: line, **more}
    for name, content in files.items():
        target.write_boot_file(boot.start, name, content)
    with target.writing(HEAD) as _:
        pass  # an empty write syncs what mtools wrote, and drops it from the page cache
    verify.read_back_files(target, boot, files)
    with target.writing(0) as write:
        write(head)
    verify.read_back_head(target, head)
