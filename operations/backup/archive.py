"""Make a backup on a control plane, and bring it to this computer: one place for both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from formats import backup
from formats.backup import Manifest
from formats.unreadable import Unreadable
from messages import backups as messages
from operations.backup import key
from remote.failures import HostFailure, RemoteFailure
from workstation import backups
from workstation.backups import Stored
from workstation.progress import format_size, show_progress

SCRIPT = Path(__file__).with_name("archive.sh").read_text(encoding="utf-8")
UNIT = "bramble-backup-now"
_MINUTES = 30
_STEP = "step: "


@dataclass(frozen=True)
class Storage:
    """
    The backups on this computer.

    + folder: has them
    + newest, weekly: how many are kept, as for ``formats.backup.surplus``; of the newest as many on
      the node
    + encryption, key_file: as for ``key.encryption``
    """

    folder: str
    newest: int
    weekly: int
    encryption: str
    key_file: str


def take(
    state: State, host: Host, cluster: str, address: str, storage: Mapping[str, object]
) -> bool:
    """
    Back up a cluster: an archive on the control plane, and on this computer.

    + cluster: its name
    + address: of the control plane
    + storage: the arguments of ``Storage``
    + raises ``HostFailure``: it could not be made, or is damaged
    """
    into = Storage(**storage)  # type: ignore[arg-type]
    encrypt = key.encryption(state, into.encryption, into.key_file)
    path = _make(host, into.newest, cluster, address)
    store(host, path, into, encrypt)
    return True


def _make(host: Host, keep: int, cluster: str, address: str) -> str:
    """Make the archive, also if the connection is lost meanwhile; return its path."""

    def show(line: str) -> None:
        if line.startswith(_STEP):
            host.log(line.removeprefix(_STEP))

    job = remote.of(host).job(UNIT)
    words = (str(keep), cluster, backup.name_part(cluster), host.name, address)
    try:
        job.await_earlier(show, _MINUTES)
        job.start("bramble: backup", ["sh", "-c", SCRIPT, "archive", *words])
        outcome = job.follow(show, _MINUTES)
    except RemoteFailure as failure:
        raise HostFailure(messages.NOT_MADE(reason=failure)) from failure
    said = [line.strip() for line in outcome.lines if line.strip()]
    if outcome.status != 0 or not said:
        reason = said[-1].rstrip(".") if said else f"exit status {outcome.status}"
        raise HostFailure(messages.NOT_MADE(reason=reason))
    return said[-1]


def store(
    host: Host,
    path: str,
    into: Storage,
    encrypt: Callable[[bytes], bytes] | None,
    manifest: Manifest | None = None,
) -> None:
    """
    Copy an archive of a node to this computer.

    + path: there
    + encrypt: None: it is kept as it is
    + manifest: that stands beside it there, if the node has encrypted it
    + raises ``HostFailure``: it is damaged, or there is no room for it
    """
    folder = Path(into.folder)
    try:
        archive = _downloaded(host, path)
        if manifest is None:
            kept = backups.store(folder, archive, encrypt, into.newest, into.weekly)
        else:
            kept = backups.store_encrypted(folder, archive, manifest, into.newest, into.weekly)
    except (Unreadable, RemoteFailure) as error:
        raise HostFailure(messages.NOT_STORED(path=folder, reason=error)) from error
    except OSError as error:
        raise HostFailure(messages.NOT_STORED(path=folder, reason=error.strerror)) from error
    host.log(f"backup on this computer: {_described(kept)}")


def _downloaded(host: Host, path: str) -> bytes:
    content = bytearray()
    with show_progress(host, "Copying") as advance:
        for piece in remote.of(host).download(path):
            content += piece
            advance(len(content), None)
    return bytes(content)


def _described(kept: Stored) -> str:
    assert kept.manifest is not None, "it was just verified"
    size, objects = format_size(kept.size), kept.manifest.objects
    here = Path.cwd()
    path = kept.path.relative_to(here) if kept.path.is_relative_to(here) else kept.path
    return f"{path} ({size}, {objects} objects, Kubernetes {kept.manifest.kubernetes})"
