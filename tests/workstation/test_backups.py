"""The folder of backups: private, complete or absent, never fewer good ones than before."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pyrage
import pytest

from formats import age, backup
from formats.unreadable import Unreadable
from messages import codes
from tests.formats.test_backup import CONTENTS, manifest, packed
from workstation import backups
from workstation.backups import Stored

TAKEN = datetime(2026, 11, 30, 3, 15, tzinfo=UTC)
IDENTITY = pyrage.x25519.Identity.generate()
SECRET = partial(age.encrypt_to, recipient=str(IDENTITY.to_public()))


def archive(days: int = 0, ca: str = "ab" * 32) -> bytes:
    text = backup.render(manifest(taken=TAKEN - timedelta(days=days), ca=ca))
    return packed(CONTENTS, text)


def store(
    folder: Path,
    content: bytes,
    encrypt: Callable[[bytes], bytes] | None = None,
    newest: int = 2,
    weekly: int = 0,
) -> Stored:
    return backups.store(folder, content, encrypt, newest, weekly)


def names(folder: Path) -> list[str]:
    return [each.path.name for each in backups.listed(folder)]


def test_a_backup_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / ".cluster/backups"
    kept = store(folder, archive())
    assert kept.path.read_bytes() == archive()
    assert (kept.is_verified, kept.manifest) == (True, manifest())
    assert [path.stat().st_mode & 0o777 for path in (folder, kept.path)] == [0o700, 0o600]
    assert names(folder) == ["bramble-20261130T031500Z.tar"]


def test_an_encrypted_one_is_listed_without_its_key(tmp_path: Path) -> None:
    kept = store(tmp_path, archive(), SECRET)
    assert sorted(os.listdir(tmp_path)) == [
        "bramble-20261130T031500Z.tar.age",
        "bramble-20261130T031500Z.tar.age.json",
    ]
    assert b"etcd.db" not in kept.path.read_bytes()
    assert age.decrypt(kept.path.read_bytes(), str(IDENTITY)) == archive()
    assert kept.manifest is not None
    assert (kept.is_verified, kept.manifest.objects) == (True, 506)
    Path(f"{kept.path}.json").unlink()
    (alone,) = backups.listed(tmp_path)
    assert (alone.manifest, alone.problem, alone.is_verified) == (None, None, False)


def test_a_node_may_have_encrypted_it(tmp_path: Path) -> None:
    first = store(tmp_path / "node", archive(), SECRET)
    assert first.manifest is not None
    content = first.path.read_bytes()
    kept = backups.store_encrypted(tmp_path / "here", content, first.manifest, 2, 0)
    assert kept.is_verified
    with pytest.raises(Unreadable):
        backups.store_encrypted(tmp_path / "here", content[:-1], first.manifest, 2, 0)


@pytest.mark.parametrize("encrypt", [None, SECRET])
def test_a_flipped_bit_is_listed_and_the_damaged_one_counts_for_nothing(
    tmp_path: Path, encrypt: Callable[[bytes], bytes] | None
) -> None:
    for days in (3, 2):
        store(tmp_path, archive(days), encrypt)
    newest = backups.listed(tmp_path)[0]
    content = bytearray(newest.path.read_bytes())
    content[len(content) // 2] ^= 1
    newest.path.write_bytes(content)
    damaged, good = backups.listed(tmp_path)
    assert codes(damaged.problem or "") == ["BAK001"]
    assert (damaged.is_verified, good.is_verified) == (False, True)
    store(tmp_path, archive(1), encrypt)
    assert [each.is_verified for each in backups.listed(tmp_path)] == [True, False, True]


def test_the_newest_and_one_a_week_are_kept_of_this_cluster(tmp_path: Path) -> None:
    store(tmp_path, archive(50, ca="cd" * 32))
    for days in (20, 15, 9, 8, 7, 1):
        store(tmp_path, archive(days), newest=2, weekly=4)
    store(tmp_path, archive(0), SECRET, newest=2, weekly=4)
    left = [(TAKEN - each.name.taken).days for each in backups.listed(tmp_path)]
    assert left == [0, 1, 8, 15, 50]


def test_one_that_was_made_while_the_clock_was_ahead_does_not_push_the_next_out(
    tmp_path: Path,
) -> None:
    store(tmp_path, archive(-400), newest=1)
    kept = store(tmp_path, archive(), newest=1)
    assert kept.path.exists()


def test_a_damaged_archive_is_not_kept_and_removes_nothing(tmp_path: Path) -> None:
    store(tmp_path, archive(1), newest=1)
    before = sorted(os.listdir(tmp_path))
    for damaged in (archive()[:9000], b"", archive().replace(b"snapshot", b"Snapshot")):
        with pytest.raises(Unreadable):
            store(tmp_path, damaged, newest=1)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    ("call", "at"),
    [
        (call, at)
        for call, times in (("fsync", 4), ("replace", 2), ("unlink", 2))
        for at in range(times)
    ],
)
def test_cut_off_at_any_call_the_good_ones_stay_and_the_next_run_tidies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, at: int
) -> None:
    for days in (3, 2):
        store(tmp_path, archive(days), SECRET)
    real, left = getattr(os, call), [at]

    def power_cut(*arguments: object, **named: object) -> object:
        if not left[0]:
            raise SystemExit
        left[0] -= 1
        return real(*arguments, **named)

    monkeypatch.setattr(os, call, power_cut)
    with pytest.raises(SystemExit):
        store(tmp_path, archive(1), SECRET)
    monkeypatch.undo()
    assert len([each for each in backups.listed(tmp_path) if each.is_verified]) >= 2
    (tmp_path / ".bramble-20261130T031500Z.tar.age.x1y2z3").write_bytes(b"half")
    store(tmp_path, archive(0), SECRET)
    found = backups.listed(tmp_path)
    assert [each.is_verified for each in found] == [True, True]
    assert found[0].name.taken == TAKEN
    left_over = [name for name in os.listdir(tmp_path) if not re.search(r"\.age(\.json)?$", name)]
    assert left_over == []
    assert len(os.listdir(tmp_path)) == 4
