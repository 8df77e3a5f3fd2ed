"""A command that outlives its connection: started by a file, followed line by line."""

from __future__ import annotations

import os
import signal
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from lab.waiting import until
from operations import connection, detached
from operations.detached import Outcome, follow, start
from operations.remote_shell import RemoteFailure, Unreachable

HOST: Any = None


def answers(monkeypatch: pytest.MonkeyPatch, *given: tuple[str, str] | Exception) -> list[str]:
    """The node's answers, one a look: its state, and what is new of the output."""
    left = list(given)
    offsets: list[str] = []

    def run(host: Any, script: str, unit: str, offset: str, **_: Any) -> list[str]:
        offsets.append(offset)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [answer[0], b64encode(answer[1].encode()).decode()]

    monkeypatch.setattr(detached, "run", run)
    return offsets


def followed() -> tuple[Outcome, list[str]]:
    shown: list[str] = []
    return follow(HOST, "unit", shown.append, minutes=1), shown


def test_each_line_is_shown_once_when_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    offsets = answers(monkeypatch, ("running", "one\ntw"), ("running", "o\n"), ("0", "three"))
    outcome, shown = followed()
    assert shown == ["one", "two", "three"]
    assert outcome == Outcome(0, ["one", "two", "three"])
    assert offsets == ["0", "6", "8"]


def test_exit_status_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, ("1", "error: no\n"))
    assert followed()[0].status == 1


def test_a_power_cut_is_no_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, ("running", "one\n"), ("gone", ""))
    assert followed()[0].status is None


def test_a_lost_connection_is_opened_again_and_nothing_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "reconnect", lambda host, seconds: None)
    answers(monkeypatch, ("running", "one\n"), Unreachable("away"), ("0", "two\n"))
    assert followed()[1][:2] == ["one", "two"]


def test_a_node_that_stays_away_ends_it_and_the_command_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "reconnect", lambda host, seconds: "no route")
    answers(monkeypatch, ("running", ""), Unreachable("away"))
    with pytest.raises(RemoteFailure, match=r"it goes on by itself.*no route"):
        followed()


def test_after_its_minutes_it_is_left_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, ("running", ""), ("running", ""))
    with pytest.raises(RemoteFailure, match="still at work after 0 minutes"):
        follow(HOST, "unit", print, minutes=0)


def test_words_are_quoted_and_files_removed_however_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(detached, "run", lambda *words, stdin: given.append((words, stdin)))
    start(HOST, "unit", "what", ["kubeadm", "join", "--config", "/a b"], remove=["/a b"])
    ((_, _, unit, description), script) = given[0]
    assert (unit, description) == ("unit", "what")
    lines = script.splitlines()
    assert lines[2:5] == ["kubeadm join --config '/a b'", "status=$?", "rm -f -- '/a b'"]


def test_files_are_removed_when_the_service_is_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(detached, "run", lambda *words, stdin: given.append(stdin))
    secret, started = tmp_path / "a b", tmp_path / "started"
    secret.write_text("token")
    wait = f"touch {started}; exec sleep 3600"
    start(HOST, "unit", "what", ["sh", "-c", wait], remove=[str(secret)])
    shell = subprocess.Popen(["sh", "-c", given[0]], start_new_session=True)
    assert until(started.exists)
    os.killpg(shell.pid, signal.SIGTERM)  # as systemd does: all of the service's processes
    assert shell.wait() == 143
    assert not secret.exists()


def test_what_is_in_vain_is_stopped_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, ("running", "one\n"), ("running", ""))
    asked = iter([None, "the kubelet keeps exiting"])
    stopped: list[str] = []
    look: Any = vars(detached)["run"]

    def run(host: Any, script: str, unit: str, *words: str, **known: Any) -> list[str]:
        if script != detached._STOP:
            return list(look(host, script, unit, *words, **known))
        stopped.append(unit)
        return []

    monkeypatch.setattr(detached, "run", run)
    with pytest.raises(RemoteFailure, match="the kubelet keeps exiting"):
        follow(HOST, "unit", print, minutes=1, in_vain=lambda: next(asked))
    assert stopped == ["unit"]
