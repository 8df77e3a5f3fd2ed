"""Files on the operator's computer: written whole, backed up, private."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workstation import files


def test_half_a_file_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config"
    path.write_text("before")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        files.replace(str(path), "after")
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["config"]


def test_no_backup_is_ever_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "config"
    contents = [f"version {number}" for number in range(5)]
    kept = [files.replace(str(path), content) for content in [*contents, "last"]]
    assert kept[0] is None
    assert [Path(name).read_text() for name in kept[1:] if name] == contents


def test_under_sudo_the_file_belongs_to_the_owner_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda file, *owner: given.append(owner))
    files.replace(str(tmp_path / ".kube" / "config"), "new")
    assert given == [(tmp_path.stat().st_uid, tmp_path.stat().st_gid)] * 2
    files.replace(str(tmp_path / ".kube" / "config"), "changed")
    assert len(given) == 4  # the backup too
