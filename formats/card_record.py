"""
What a card says of itself: the record on its boot partition, and the mark of a half-written one.

Both are this project's own. The record is JSON, in a file that a person may read.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

from formats.unreadable import reading

FILE = "bramble.json"

# Stands where the partition table belongs until a card is whole, so that neither a board nor a
# desktop takes a half-written one for good. A whole block of any medium, and before every first
# partition.
HEAD = 4096
_MARK = b"bramble: this card was not written to its end; it was to be that of "


@dataclass(frozen=True)
class Record:
    """
    A card that was written to its end.

    + node: whose it is
    + image: the image's name, for a person
    + checksum: sha256 of the image as it was downloaded
    + size: of the unpacked image, in bytes
    + head: sha256 of the first ``HEAD`` bytes
    + rest: sha256 of all that follows, without the boot partition
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
    """The record's file."""
    return json.dumps(asdict(record), indent=1) + "\n"


def parse(text: str) -> Record:
    """The record. ``Unreadable`` when it is none."""
    with reading("it is no record of a card"):
        written = json.loads(text)
        record = Record(**{field.name: written[field.name] for field in fields(Record)})
        if not isinstance(record.size, int) or record.size < HEAD:
            raise ValueError
        return record


def mark(node: str) -> bytes:
    """What stands at the beginning of a card while it is being written."""
    return (_MARK + node.encode() + b"\n").ljust(HEAD, b"\0")


def marked(beginning: bytes) -> str | None:
    """Whose card this was to be, when its beginning is that of one not written to its end."""
    if not beginning.startswith(_MARK):
        return None
    return beginning[len(_MARK) :].partition(b"\n")[0].decode(errors="replace")
