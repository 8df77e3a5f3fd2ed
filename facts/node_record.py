"""The record of what bramble manages on a node."""

from __future__ import annotations

from dataclasses import dataclass, field

from facts.base import State, WholeFact, text_of
from formats import node_record
from formats.node_record import NodeRecord

FOLDER = "/var/lib/bramble"
PATH = f"{FOLDER}/record.json"
KEPT = f"{FOLDER}/kept"  # paths below it: what bramble replaced
# Prints a digest of the file; also of no file.
DIGEST = f"cat {PATH} 2>/dev/null | sha256sum | cut -c1-64"


@dataclass(frozen=True)
class RecordState(State):
    """
    + record: an empty one when there is none, or a damaged one
    + damage: why it could not be understood; "" otherwise
    + digest: of the file, to notice that another run has changed it meanwhile
    """

    record: NodeRecord = field(default_factory=NodeRecord)
    damage: str = ""
    digest: str = ""


class Record(WholeFact[RecordState]):
    """Read the record: a ``RecordState``."""

    script = (f"cat {PATH} 2>/dev/null | base64 -w0; echo; {DIGEST}",)

    def parse(self, content: str, digest: str) -> RecordState:
        text = text_of(content)
        try:
            return RecordState(node_record.parse(text) if text else NodeRecord(), "", digest)
        except ValueError as error:
            return RecordState(damage=str(error), digest=digest)
