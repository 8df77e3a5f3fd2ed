"""The backups on this computer: ``.cluster/backups``, for their owner alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from formats import backup
from formats.backup import Manifest, Name
from formats.unreadable import Unreadable
from messages import Said
from messages import backups as messages
from workstation import files


@dataclass(frozen=True)
class Stored:
    """
    One backup.

    + name: what its file's name says
    + size: in bytes
    + manifest: None if it is not known: of a damaged one, or of an encrypted one that was copied
      without the file beside it
    + problem: why it is not good; None also if nothing is known of it without its key
    """

    path: Path
    name: Name
    size: int
    manifest: Manifest | None
    problem: Said | None

    @property
    def is_verified(self) -> bool:
        """Whether its checksum is right, and its snapshot was restored when it was made."""
        return self.manifest is not None and self.problem is None and self.manifest.proved


def named(folder: Path) -> list[tuple[Name, Path]]:
    """Return what the names of the backups in a folder say, the newest first; none is read."""
    found = [(name, path) for path in _files(folder) if (name := backup.parse_name(path.name))]
    return sorted(found, key=_age, reverse=True)


def listed(folder: Path) -> list[Stored]:
    """
    Read all backups in a folder, and compare their checksums.

    + returns: the newest first; those that are damaged too
    """
    return [_read(path, name) for name, path in named(folder)]


def store(
    folder: Path, archive: bytes, encrypt: Callable[[bytes], bytes] | None, newest: int, weekly: int
) -> Stored:
    """
    Keep an archive, then remove those that are no longer to be kept.

    Only good backups of the same cluster are counted and removed, after the new one is on the disk.

    + archive: not encrypted
    + encrypt: None: it stays as it is
    + newest, weekly: as for ``formats.backup.surplus``
    + raises ``Unreadable``: the archive is damaged; ``OSError``
    """
    manifest = backup.verify(BytesIO(archive))
    _prepare(folder)
    path = folder / manifest.name
    if encrypt is not None:
        archive = encrypt(archive)
        path = path.with_name(f"{path.name}.age")
        beside = backup.beside(manifest, backup.digest(BytesIO(archive)))
        files.replace(f"{path}.json", backup.render(beside), backup=False)
    return _keep(path, archive, manifest, newest, weekly)


def store_encrypted(
    folder: Path, archive: bytes, manifest: Manifest, newest: int, weekly: int
) -> Stored:
    """
    Keep an archive that a node has encrypted; otherwise as ``store``.

    + manifest: that stands beside it
    """
    if manifest.archive != backup.digest(BytesIO(archive)):
        raise Unreadable(messages.DAMAGED(reason="its checksum differs"))
    _prepare(folder)
    path = folder / f"{manifest.name}.age"
    files.replace(f"{path}.json", backup.render(manifest), backup=False)
    return _keep(path, archive, manifest, newest, weekly)


def _prepare(folder: Path) -> None:
    """Make the folder private, and remove what interrupted runs have left in it."""
    if folder.is_dir():  # otherwise it is made with the first file
        folder.chmod(0o700)
    for path in _files(folder):
        of = backup.parse_name(path.name.removesuffix(".json"))
        alone = path.suffix == ".json" and of and not path.with_suffix("").exists()
        if alone or (path.name.startswith(".") and ".tar" in path.name):
            path.unlink()


def _keep(path: Path, archive: bytes, manifest: Manifest, newest: int, weekly: int) -> Stored:
    files.replace(str(path), archive, backup=False)
    own = [each for each in listed(path.parent) if each.is_verified and _is_of(each, manifest)]
    surplus = backup.surplus([each.name.taken for each in own], newest, weekly)
    for each in own:
        # The clock may have been ahead once: the one just made stays.
        if each.name.taken in surplus and each.path != path:
            each.path.unlink()
            Path(f"{each.path}.json").unlink(missing_ok=True)
    (kept,) = (each for each in own if each.path == path)
    return kept


def _is_of(stored: Stored, manifest: Manifest) -> bool:
    return stored.manifest is not None and stored.manifest.ca == manifest.ca


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def _age(found: tuple[Name, Path]) -> tuple[float, Path]:
    return found[0].taken.timestamp(), found[1]


def _read(path: Path, name: Name) -> Stored:
    manifest = problem = None
    try:
        with path.open("rb") as file:
            if name.encrypted:
                manifest = _beside(path)
                if manifest is not None and manifest.archive != backup.digest(file):
                    problem = messages.DAMAGED(reason="its checksum differs")
            else:
                manifest = backup.verify(file)
    except Unreadable as error:
        problem = error.args[0]
    except OSError as error:
        problem = messages.DAMAGED(reason=error.strerror)
    return Stored(path, name, path.stat().st_size, manifest, problem)


def _beside(path: Path) -> Manifest | None:
    """The manifest beside an encrypted archive; None without one."""
    text = files.text(f"{path}.json")
    return None if text is None else backup.parse(text)
