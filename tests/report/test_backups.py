"""`make backups`: what is here, what is on the nodes, and what is wrong with it."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

import settings
from formats import backup
from messages import codes
from report import backups
from tests.formats.test_backup import CONTENTS, manifest, packed
from workstation import backups as stored


def asked(name: str) -> dict[str, Any]:
    """What a node has: one that is good, one without its manifest, a damaged one."""
    place = f"/var/lib/bramble/backups/{manifest().name}"
    text = backup.render(manifest())
    common = {"path": place, "size": 2_000_000}
    return {
        name: [
            {**common, "is_good": True, "text": text},
            {**common, "is_good": False, "text": ""},
            {**common, "is_good": False, "text": text},
        ]
    }


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = SimpleNamespace(
        project=tmp_path,
        backups=tmp_path / ".cluster/backups",
        control_plane=[SimpleNamespace(name="node1")],
        backup_to="node2",
    )

    def run(command: list[str], **_: Any) -> Any:
        limits = [command[at + 1] for at, word in enumerate(command) if word == "--limit"]
        assert limits == ["node1", "node2"]
        return SimpleNamespace(stdout=json.dumps({command[5]: asked("node1")}))

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(settings, "load", lambda: made)
    return made


def test_all_places_are_listed_with_what_is_wrong(cluster: Any) -> None:
    stored.store(cluster.backups, packed(CONTENTS), None, 3, 0)
    rows, silent = backups.on_nodes(cluster)
    assert [row.verified for row in rows] == ["yes", "unknown", "damaged"]
    assert silent == ["node2"]
    (here,) = backups.here(cluster)
    assert (here.verified, here.objects, here.kubernetes) == ("yes", 506, "1.36.3")
    assert here.where == ".cluster/backups/bramble-20261130T031500Z.tar"
    path = cluster.project / here.where
    path.write_bytes(path.read_bytes()[:9000])
    (damaged,) = backups.here(cluster)
    assert "damaged" in damaged.verified
    out = io.StringIO()
    backups.show([damaged, *rows], Console(file=out, width=200))
    assert "node1:/var/lib/bramble/backups/bramble-20261130T031500Z.tar" in out.getvalue()
    assert "2026-11-30 03:15" in out.getvalue()


def test_a_program_gets_the_same(
    cluster: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["backups", "--json"])
    assert backups.main() == 0
    shown = capsys.readouterr()
    assert [row["objects"] for row in json.loads(shown.out)] == [506, None, 506]
    assert codes(shown.err) == ["BAK013"]
