"""Drift for machines: the exit status, and what is printed with --json."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from report import __main__ as program
from report import dry_run, result
from report.dry_run import DryRun
from report.result import Result, Step
from runs.record import Change

SAME = Step("node1", "Names", "same", resources={"file /etc/hosts": "same"})
CHANGED = Step(
    "node1",
    "Names",
    "planned",
    resources={"file /etc/hosts": "changed", "file /etc/hostname": "same"},
    changes=[Change("modify /etc/hosts", ("file /etc/hosts",), "/etc/hosts", "a", "b")],
)
ACTION = Step("node1", "All nodes are Ready", "planned", changes=[Change("wait")])


def status(monkeypatch: pytest.MonkeyPatch, looked: DryRun, *words: str) -> int:
    monkeypatch.setattr(dry_run, "run", lambda deploy, arguments: looked)
    monkeypatch.setattr(sys, "argv", ["report", "drift", *words])
    return program.main()


def found(*steps: Step, failed: tuple[str, ...] = ()) -> DryRun:
    return DryRun(Result(["node1"], list(failed), [], list(steps)), int(bool(failed)), "")


@pytest.mark.parametrize(
    ("looked", "wanted"),
    [
        (found(SAME), 0),
        (found(CHANGED), 2),
        (found(SAME, ACTION), 2),
        (found(CHANGED, failed=("node1",)), 1),
        (DryRun(None, 1, "a typing error in inventory.py"), 1),
        (DryRun(found(SAME).found, 1, "No hosts remaining!"), 1),
    ],
)
def test_the_status_is_0_for_none_2_for_drift_and_1_for_not_known(
    monkeypatch: pytest.MonkeyPatch, looked: DryRun, wanted: int
) -> None:
    assert status(monkeypatch, looked) == wanted
    assert status(monkeypatch, looked, "--json") == wanted


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("drift --json -- --limit node2", ("deploys/cluster.py", ["--limit", "node2"])),
        ("diff --deploy deploys/x.py -- --limit node2", ("deploys/x.py", ["--limit", "node2"])),
        ("drift -- -v -- --json", ("deploys/cluster.py", ["-v", "--", "--json"])),
        ("drift", ("deploys/cluster.py", [])),
    ],
)
def test_what_stands_after_the_dashes_is_pyinfras(
    monkeypatch: pytest.MonkeyPatch, words: str, wanted: tuple[str, list[str]]
) -> None:
    asked = []

    def look(deploy: str, arguments: list[str]) -> DryRun:
        asked.append((deploy, arguments))
        return found(SAME)

    monkeypatch.setattr(dry_run, "run", look)
    monkeypatch.setattr(sys, "argv", ["report", *words.split()])
    assert program.main() == 0
    assert asked == [wanted]


@pytest.mark.parametrize("words", [["--jsno"], ["twice"], ["--deploy"]])
def test_a_command_that_is_not_understood_is_no_drift(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        status(monkeypatch, found(SAME), *words)
    assert ended.value.code == 1
    assert words[0] in capsys.readouterr().err


def test_diff_has_status_0_also_when_there_is_something_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dry_run, "run", lambda deploy, arguments: found(CHANGED))
    monkeypatch.setattr(sys, "argv", ["report", "diff"])
    assert program.main() == 0


def test_diff_as_data_is_the_differences_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dry_run, "run", lambda deploy, arguments: found(CHANGED))
    monkeypatch.setattr(sys, "argv", ["report", "diff", "--json"])
    assert program.main() == 0
    assert json.loads(capsys.readouterr().out)["nodes"]["node1"]["state"] == "different"


def test_json_has_every_managed_thing_and_its_state(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status(monkeypatch, found(CHANGED, SAME), "--json")
    said = json.loads(capsys.readouterr().out)
    assert said["nodes"]["node1"] == {
        "state": "drift",
        "resources": {"file /etc/hosts": "changed", "file /etc/hostname": "same"},
        "steps": [{"name": "Names", "changes": ["modify /etc/hosts"]}],
    }


def test_it_says_first_which_nodes_it_is_about(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv("BRAMBLE_OVERRIDES", raising=False)
    status(monkeypatch, found(SAME))
    assert capsys.readouterr().out.startswith("Target: cluster bramble (node1, node2, node3)\n")
    overrides = tmp_path / "overrides.json"
    overrides.write_text('{"target": "lab demo (virtual nodes {nodes})"}')
    monkeypatch.setenv("BRAMBLE_OVERRIDES", str(overrides))
    status(monkeypatch, found(SAME))
    assert capsys.readouterr().out.startswith("Target: lab demo (virtual nodes node1, node2")


def test_a_result_is_read_as_it_was_written_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    written = Result(["node1"], [], ["red"], [CHANGED, ACTION])
    result.write(path, written)
    assert result.read(path) == written
    assert path.stat().st_mode & 0o777 == 0o600
    assert result.read(tmp_path / "none.json") is None
