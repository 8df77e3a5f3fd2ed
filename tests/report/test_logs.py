"""What is kept of a run: every line, in a file for its owner alone; nothing that can stop it."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from report.harmless import harmless
from report.logs import KEPT, Log


def said(log: Log, text: str, level: int = logging.INFO) -> None:
    log.emit(logging.LogRecord("pyinfra", level, __file__, 1, text, None, None))


def test_each_run_has_a_file_that_its_owner_alone_can_read(tmp_path: Path) -> None:
    log = Log(tmp_path / ".cluster" / "logs")
    said(log, click.style("[node1] No changes", "cyan"))
    assert log.path is not None
    assert log.path.read_text().endswith(" [node1] No changes\n")
    assert log.path.stat().st_mode & 0o777 == 0o600
    assert log.path.parent.stat().st_mode & 0o777 == 0o700
    assert log.path.parent.parent.stat().st_mode & 0o777 == 0o700


def test_the_red_lines_are_remembered(tmp_path: Path) -> None:
    log = Log(tmp_path / ".cluster" / "logs")
    said(log, "fine")
    said(log, click.style("[node1] no route", "red"), logging.ERROR)
    assert log.errors == [("", "[node1] no route")]


def test_old_logs_go(tmp_path: Path) -> None:
    folder = tmp_path / ".cluster" / "logs"
    folder.mkdir(parents=True)
    for number in range(KEPT + 5):
        (folder / f"20200101-0000{number:02}-1.log").touch()
    Log(folder)
    left = sorted(path.name for path in folder.iterdir())
    assert len(left) == KEPT
    assert left[0] == "20200101-000006-1.log"


def test_where_no_log_can_be_written_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / ".cluster").touch()
    log = Log(tmp_path / ".cluster" / "logs")
    said(log, "fine")
    assert log.path is None


def test_what_is_harmless_gives_its_answer_whatever_happens() -> None:
    @harmless(True)
    def broken() -> bool:
        raise ValueError("a mistake")

    assert broken()
