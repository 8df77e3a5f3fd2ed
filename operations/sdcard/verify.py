"""
What is on a card, and what it lacks to be a node's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256

from pyinfra.api.host import Host

from formats import card_record, partition_table
from formats.partition_table import Partition
from operations.sdcard.target import Target
from workstation import progress

COMMAND_LINE = "cmdline.txt"


@dataclass(frozen=True)
class Wanted:
    """
    A node's card.

    + image: the image's name, for a person
    + checksum: sha256 of the image as it is downloaded
    + files: of the boot partition, by their names; they hold secrets
    + command_line: makes the kernel's command line of the one that the image has
    """

    node: str
    image: str
    checksum: str
    files: Mapping[str, bytes] = field(repr=False)
    command_line: Callable[[bytes], bytes] = field(repr=False)


@dataclass(frozen=True)
class Lacks:
    """
    What a card lacks.

    + image: why the whole of it has to be written; None when its blocks are the image's
    + files: names of those on the boot partition that differ, with what they hold now
    """

    image: str | None
    files: Mapping[str, bytes | None] = field(default_factory=dict, repr=False)


def compare(target: Target, wanted: Wanted, host: Host) -> Lacks:
    """
    Compare a card with the wanted one, all its blocks when it seems to be the same.

    What else is on the boot partition (config.txt) is its owner's, and not compared.
    """
    if not target.size:
        return Lacks("it is not there yet")
    beginning = target.read(0, partition_table.LENGTH)
    if (node := card_record.marked(beginning)) is not None:
        return Lacks(f"it was not written to its end (as {node}'s)")
    try:
        boot = partition_table.boot_partition(partition_table.parse(beginning))
    except ValueError as error:
        return Lacks(str(error))
    names = target.boot_names(boot.start) or set()
    if card_record.FILE not in names:
        return Lacks("it is no card of bramble's")
    try:
        record = card_record.parse(target.boot_file(boot.start, card_record.FILE).decode())
    except ValueError:
        return Lacks(f"its {card_record.FILE} is damaged")
    if record.node != wanted.node:
        return Lacks(f"it is {record.node}'s, written on {record.written}")
    if record.checksum != wanted.checksum:
        return Lacks(f"it holds {record.image}, written on {record.written}")
    if sha256(beginning[: card_record.HEAD]).hexdigest() != record.head:
        return Lacks("a board has started from it: its partitions are other ones")
    if _rest(target, boot, record.size, host) != record.rest:
        return Lacks("its blocks are not the image's: a board has started from it, or it is worn")
    return Lacks(None, _other_files(target, boot, names, wanted))


def texts(wanted: Wanted, name: str, now: bytes | None) -> tuple[str | None, str]:
    """A boot file before and after, for a diff."""
    after = wanted.command_line(now or b"") if name == COMMAND_LINE else wanted.files[name]
    return None if now is None else now.decode(errors="replace"), after.decode()


def fingerprint(target: Target) -> str:
    """What tells a disk from another of its model: its partition table, and its card's record."""
    beginning = target.read(0, partition_table.LENGTH)
    digest = sha256(beginning)
    with suppress(ValueError):
        boot = partition_table.boot_partition(partition_table.parse(beginning))
        if card_record.FILE in (target.boot_names(boot.start) or set()):
            digest.update(target.boot_file(boot.start, card_record.FILE))
    return digest.hexdigest()


def ours(target: Target) -> bool:
    """Whether a file was made here, to its end or not: then it may be made anew."""
    beginning = target.read(0, partition_table.LENGTH)
    if card_record.marked(beginning) is not None:
        return True
    try:
        boot = partition_table.boot_partition(partition_table.parse(beginning))
    except ValueError:
        return False
    return card_record.FILE in (target.boot_names(boot.start) or set())


def _other_files(
    target: Target, boot: Partition, names: set[str], wanted: Wanted
) -> dict[str, bytes | None]:
    now = {
        name: target.boot_file(boot.start, name) if name in names else None
        for name in (*wanted.files, COMMAND_LINE)
    }
    line = now[COMMAND_LINE]
    files = dict(wanted.files)
    if line is not None:
        files[COMMAND_LINE] = wanted.command_line(line)
    return {name: now[name] for name, content in files.items() if now[name] != content}


def _rest(target: Target, boot: Partition, length: int, host: Host) -> str:
    """The checksum of all blocks but the first ones and the boot partition's."""
    digest = sha256()
    ranges = rest(boot, length)
    total = sum(end - begin for begin, end in ranges)
    behind = 0
    with progress.shown(host, "Comparing", "Compared with the image") as advance:
        for begin, end in ranges:
            for block in target.blocks(begin, end - begin):
                digest.update(block)
                behind += len(block)
                advance(behind, total)
    return digest.hexdigest()


def rest(boot: Partition, length: int) -> list[tuple[int, int]]:
    """Where the blocks are that nothing of a card's making changes: from and to, in bytes."""
    ranges = [(card_record.HEAD, boot.start), (boot.end, length)]
    return [(begin, end) for begin, end in ranges if begin < end]
