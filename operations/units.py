"""systemd units whose file is bramble's own."""

from __future__ import annotations

from pyinfra.api import QuoteString, StringCommand

from formats.node_record import Entry
from operations import files
from operations.base import Commands

# A unit without a directory for a cache has nothing to clean, and systemctl fails.
_CLEAN = 'systemctl clean --what=cache "$1" 2>/dev/null || true'


def remove(resource: str, entry: Entry) -> Commands:
    """
    Stop and disable a recorded unit, and remove its file and its cache; for ``removals``.

    + resource: "unit NAME"
    + entry: what the record says of it: its ``path``
    + raises ``ChangedSince``
    """
    commands = list(files.remove(resource, entry))
    if commands:
        unit = QuoteString(resource.partition(" ")[2])
        yield StringCommand("systemctl", "disable", "--now", "--quiet", unit)
        yield StringCommand("sh", "-c", QuoteString(_CLEAN), "clean", unit)
        yield from commands
        yield StringCommand("systemctl", "daemon-reload")
