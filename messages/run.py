"""Runs: the connection to a node, the order of steps, two runs at once."""

from __future__ import annotations

from messages import Message

CONNECTION_LOST = Message(
    "RUN001",
    "the connection was lost during a command",
    remedy="Check the node's power and cable, then run the same command again.",
    meaning="The node stopped answering while a command ran on it, so the result of that command is"
    " not known. The next run reads the node's state again and continues from there.",
)
