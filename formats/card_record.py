"""
Two marks of bramble on an SD card: the record of a complete one, and the sign of an incomplete one.

The record is JSON, in a file on the boot partition that a person may read.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

from formats.unreadable import reading

FILE = "bramble.json"

# Until an SD card is complete, this many bytes with the mark stand in place of its partition table:
# neither a board nor a desktop can then use it. It is a multiple of any medium's block size, and
# lies before the first partition.
HEAD = 4096
_MARK = b"bramble: this card was not written to its end; it was to be that of "


@dataclass(frozen=True)
class Record:
    """
    A completely written SD card.

    + node: the node's name
    + image: the image's name, for a person
    + checksum: sha256 of the image as it was downloaded
    + size: of the unpacked image, in bytes
    + head: sha256 of the first ``HEAD`` bytes
    + rest: sha256 of everything behind them, without the boot partition
    + written: the day
    """

    node: str
    image: str
    checksum: str
    size: int
    head: str
    rest: str
    written: str


def render(record: Record) -> str:
    """Write the record's file."""
    return json.dumps(asdict(record), indent=1) + "\n"


def parse(text: str) -> Record:
    """Read the record; ``Unreadable`` when it is not one."""
    with reading("not the record of an SD card"):
        written = json.loads(text)
        record = Record(**{field.name: written[field.name] for field in fields(Record)})
        if not isinstance(record.size, int) or record.size < HEAD:
            raise ValueError
        return record


def mark(node: str) -> bytes:
    """The beginning of an SD card that is being written."""
    return (_MARK + node.encode() + b"\n").ljust(HEAD, b"\0")


def marked(beginning: bytes) -> str | None:
    """The node whose SD card was not written completely; None for any other beginning."""
    if not beginning.startswith(_MARK):
        return None
    return beginning[len(_MARK) :].partition(b"\n")[0].decode(errors="replace")
