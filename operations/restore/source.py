"""Choose the backup that is restored, and open it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path

from pyinfra.api.state import State

from formats import backup
from formats.backup import Manifest
from formats.unreadable import Unreadable
from messages import restore as messages
from operations.backup import key
from operations.base import HostFailure
from workstation import backups


@dataclass(frozen=True)
class Backup:
    """
    One backup.

    + archive: a whole tar archive, not encrypted; None: the node has it already
    """

    manifest: Manifest
    archive: bytes | None = None


def choose(state: State, folder: str, cluster: str, named: str | None, key_file: str) -> Backup:
    """
    Open the backup to restore, and compare all its checksums.

    + folder: where this computer keeps its backups
    + cluster: the cluster's name
    + named: a file, by its path or by its name in that folder; None: the newest one
    + key_file: as for ``backup.key.archive``

    ``HostFailure``: there is none, it is damaged, or the key is wrong.
    """
    if named is not None:
        path = Path(named).expanduser()
        return _open(state, path if path.exists() else Path(folder) / path.name, key_file)
    part = backup.name_part(cluster)
    for name, path in backups.named(Path(folder)):
        if name.cluster == part:
            return _open(state, path, key_file)
    raise HostFailure(messages.NO_BACKUP(cluster=cluster, folder=folder))


def ago(age: timedelta) -> str:
    """Say how long ago something was, such as "3 h 12 min"."""
    minutes = max(int(age.total_seconds()) // 60, 0)
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def _open(state: State, path: Path, key_file: str) -> Backup:
    try:
        content = key.archive(state, path, key_file)
        return Backup(backup.verify(BytesIO(content)), content)
    except OSError as error:
        reason = error.strerror or str(error)
        raise HostFailure(messages.NOT_OPENED(backup=path, reason=reason)) from error
    except Unreadable as error:
        reason = error.args[0]
        raise HostFailure(messages.NOT_OPENED(backup=path, reason=reason)) from error
