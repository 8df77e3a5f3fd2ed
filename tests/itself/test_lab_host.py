"""The lab's files on this computer."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import host, plan
from lab.errors import LabError
from tests import said


def test_threads_that_write_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    file = tmp_path / "overrides.json"
    texts = [str(number) * 1000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: host.replace(file, text), texts * 50))
    assert file.read_text() in texts
    assert list(tmp_path.iterdir()) == [file]
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_lab_of_another_version_is_told_and_disturbs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    folder = tmp_path / "labs" / "old"
    folder.mkdir(parents=True)
    nodes = [{"name": "node1", "wires": []}]
    saved = {"name": "old", "elsewhere": 1, "transfer": "172.31.0.0/30", "nodes": nodes}
    (folder / "plan.json").write_text(json.dumps(saved))
    (tmp_path / "labs" / "cut").mkdir()
    (tmp_path / "labs" / "cut" / "plan.json").write_text("{")
    with said.saying("LAB036 old", LabError):
        plan.load("old")
    assert plan.load("cut") is None
    assert plan.of_all_labs("transfer") == ["172.31.0.0/30"]
    assert plan.of_all_labs("rootfs") == []
    assert plan.node_names("old") == {"node1"}
