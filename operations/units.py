"""systemd units whose file is bramble's own."""

from __future__ import annotations

from pyinfra.api import QuoteString, StringCommand

from formats.node_record import Entry
from operations import files
from operations.base import Commands


def remove(resource: str, entry: Entry) -> Commands:
    """
    Stop and disable a recorded unit, and remove its file; for ``removals``.

    + resource: "unit NAME"
    + entry: what the record says of it: its ``path``
    + raises ``ChangedSince``
    """
    commands = list(files.remove(resource, entry))
    if commands:
        unit = QuoteString(resource.partition(" ")[2])
        yield StringCommand("systemctl", "disable", "--now", "--quiet", unit)
        yield from commands
        yield StringCommand("systemctl", "daemon-reload")
