"""Verify an SD card: read back what was just written, and compare a card with the desired one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from pyinfra.api.host import Host

from formats import card_record, partition_table
from formats.card_record import HEAD
from formats.partition_table import Partition
from messages import sdcard as messages
from operations.base import HostFailure
from operations.sdcard.target import Target
from workstation.progress import show_progress

COMMAND_LINE = "cmdline.txt"


@dataclass(frozen=True)
class DesiredCard:
    """
    A node's card.

    + image: the image's name, for a person
    + checksum: sha256 of the image as it is downloaded
    + files: of the boot partition, by name; they hold secrets
    + command_line: changes the kernel command line of the image
    """

    node: str
    image: str
    checksum: str
    files: Mapping[str, bytes] = field(repr=False)
    command_line: Callable[[bytes], bytes] = field(repr=False)


@dataclass(frozen=True)
class Difference:
    """
    How a card differs from the desired one.

    + reason: why all of it has to be written; None when its blocks are the image's
    + files: those on the boot partition that differ, with what they hold now (None: missing)
    """

    reason: str | None
    files: Mapping[str, bytes | None] = field(default_factory=dict, repr=False)


def compare(target: Target, desired: DesiredCard, host: Host) -> Difference:
    """
    Compare a card with the desired one: its record first, then all its blocks.

    Other files on the boot partition, such as config.txt, belong to the user and are not compared.
    """
    if not target.size:
        return Difference("the file is new")
    beginning = target.read(0, partition_table.LENGTH)
    if (node := card_record.marked(beginning)) is not None:
        return Difference(messages.NOT_COMPLETE(node=node))
    boot = _boot_partition(beginning)
    if boot is None:
        return Difference(messages.NO_PARTITION_TABLE())
    names = target.boot_names(boot.start) or set()
    if card_record.FILE not in names:
        return Difference(messages.NOT_BY_BRAMBLE())
    try:
        record = card_record.parse(target.read_boot_file(boot.start, card_record.FILE).decode())
    except ValueError:
        return Difference(messages.CARD_RECORD_DAMAGED(name=card_record.FILE))
    if record.node != desired.node:
        return Difference(messages.OTHER_NODE(node=record.node, written=record.written))
    if record.checksum != desired.checksum:
        return Difference(messages.OTHER_IMAGE(image=record.image, written=record.written))
    if sha256(beginning[:HEAD]).hexdigest() != record.head:
        return Difference(messages.BOOTED())
    if _unmodified_checksum(target, boot, record.size, host) != record.rest:
        return Difference(messages.BLOCKS_CHANGED())
    return Difference(None, _differing_files(target, boot, names, desired))


def _differing_files(
    target: Target, boot: Partition, names: set[str], desired: DesiredCard
) -> dict[str, bytes | None]:
    now = {
        name: target.read_boot_file(boot.start, name) if name in names else None
        for name in (*desired.files, COMMAND_LINE)
    }
    line = now[COMMAND_LINE]
    files = dict(desired.files)
    if line is not None:
        files[COMMAND_LINE] = desired.command_line(line)
    return {name: now[name] for name, content in files.items() if now[name] != content}


def boot_file_texts(desired: DesiredCard, name: str, now: bytes | None) -> tuple[str | None, str]:
    """Return a boot file before and after, for a diff."""
    after = desired.command_line(now or b"") if name == COMMAND_LINE else desired.files[name]
    return None if now is None else now.decode(errors="replace"), after.decode()


def fingerprint(target: Target) -> str:
    """Return a hash of the partition table and the record, which differ between two cards."""
    beginning = target.read(0, partition_table.LENGTH)
    digest = sha256(beginning)
    boot = _boot_partition(beginning)
    if boot and _has_record(target, boot):
        digest.update(target.read_boot_file(boot.start, card_record.FILE))
    return digest.hexdigest()


def made_by_bramble(target: Target) -> bool:
    """Return whether a file is an image that was made here, complete or not."""
    beginning = target.read(0, partition_table.LENGTH)
    if card_record.marked(beginning) is not None:
        return True
    boot = _boot_partition(beginning)
    return boot is not None and _has_record(target, boot)


def _boot_partition(beginning: bytes) -> Partition | None:
    try:
        return partition_table.boot_partition(partition_table.parse(beginning))
    except ValueError:
        return None


def _has_record(target: Target, boot: Partition) -> bool:
    return card_record.FILE in (target.boot_names(boot.start) or set())


class Checksums:
    """
    The checksums of what is written behind the first block.

    + all: of everything
    + rest: of the ranges that a first boot's files leave unmodified
    + size: in bytes, from the beginning of the card
    """

    def __init__(self, boot: Partition) -> None:
        self.all = sha256()
        self.rest = sha256()
        self.size = HEAD
        self._boot = boot

    def add(self, block: bytes) -> None:
        self.all.update(block)
        begin, end = self.size, self.size + len(block)
        for first, last in _unmodified(self._boot, begin, end):
            self.rest.update(block[first - begin : last - begin])
        self.size = end


def read_back(target: Target, written: Checksums, host: Host) -> None:
    """Read all that was written, from the medium; ``HostFailure`` when it differs."""
    found = sha256()
    total = written.size - HEAD
    completed = 0
    with show_progress(host, "Verifying", "Verified") as advance:
        for block in target.blocks(HEAD, total):
            found.update(block)
            completed += len(block)
            advance(completed, total)
    if found.digest() != written.all.digest():
        raise _failed(target, "the image")


def read_back_files(target: Target, boot: Partition, files: Mapping[str, bytes]) -> None:
    """Read files of the boot partition, from the medium; ``HostFailure`` when one differs."""
    for name, content in files.items():
        if target.read_boot_file(boot.start, name) != content:
            raise _failed(target, name)


def read_back_head(target: Target, head: bytes) -> None:
    """Read the first block, from the medium; ``HostFailure`` when it differs."""
    if target.read(0, HEAD) != head:
        raise _failed(target, "the partition table")


def _failed(target: Target, what: str) -> HostFailure:
    return HostFailure(messages.VERIFICATION_FAILED(path=target.path, what=what))


def _unmodified_checksum(target: Target, boot: Partition, length: int, host: Host) -> str:
    """Return the checksum of the byte ranges that flashing leaves unmodified."""
    digest = sha256()
    ranges = list(_unmodified(boot, 0, length))
    total = sum(end - begin for begin, end in ranges)
    completed = 0
    with show_progress(host, "Comparing", "Compared with the image") as advance:
        for begin, end in ranges:
            for block in target.blocks(begin, end - begin):
                digest.update(block)
                completed += len(block)
                advance(completed, total)
    return digest.hexdigest()


def _unmodified(boot: Partition, begin: int, end: int) -> Iterable[tuple[int, int]]:
    """
    Byte ranges, within those from ``begin`` to ``end``, that flashing leaves unmodified: all but
    the first block and the boot partition.
    """
    for first, last in ((HEAD, boot.start), (boot.end, end)):
        first, last = max(first, begin), min(last, end)
        if first < last:
            yield first, last
