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
from messages import codes
from remote import job
from remote.failures import RemoteFailure, Unreachable
from remote.job import Job, Outcome
from tests.fake_node import Host


@pytest.fixture
def host() -> Host:
    return Host()


def answers(host: Host, *given: tuple[str, str] | Exception) -> list[str]:
    """The node's answers, one a look: its state, and what is new of the output."""
    left = list(given)
    offsets: list[str] = []

    def answer(script: str, unit: str, offset: str, **_: Any) -> list[str]:
        offsets.append(offset)
        now = left.pop(0)
        if isinstance(now, Exception):
            raise now
        return [now[0], b64encode(now[1].encode()).decode()]

    host.node.answer = answer
    return offsets


def unit(host: Host) -> Job:
    return host.node.job("unit")


def followed(host: Host) -> tuple[Outcome, list[str]]:
    shown: list[str] = []
    return unit(host).follow(shown.append, minutes=1), shown


def test_each_line_is_shown_once_when_it_is_whole(host: Host) -> None:
    offsets = answers(host, ("running", "one\ntw"), ("running", "o\n"), ("0", "three"))
    outcome, shown = followed(host)
    assert shown == ["one", "two", "three"]
    assert outcome == Outcome(0, ["one", "two", "three"])
    assert offsets == ["0", "6", "8"]


def test_the_exit_status_is_returned(host: Host) -> None:
    answers(host, ("1", "error: no\n"))
    assert followed(host)[0].status == 1


def test_a_power_cut_is_no_exit_status(host: Host) -> None:
    answers(host, ("running", "one\n"), ("gone", ""))
    assert followed(host)[0].status is None


def test_a_lost_connection_is_opened_again_and_nothing_is_missed(host: Host) -> None:
    answers(host, ("running", "one\n"), Unreachable("away"), ("0", "two\n"))
    assert followed(host)[1][:2] == ["one", "two"]


def test_a_node_that_stays_away_ends_it_and_the_command_goes_on(host: Host) -> None:
    host.node.reconnects = "no route"
    answers(host, ("running", ""), Unreachable("away"))
    with pytest.raises(RemoteFailure, match="no route") as failure:
        followed(host)
    assert codes(str(failure.value)) == ["RUN006"]


def test_after_its_minutes_it_is_left_alone(host: Host) -> None:
    answers(host, ("running", ""), ("running", ""))
    with pytest.raises(RemoteFailure) as failure:
        unit(host).follow(print, minutes=0)
    assert codes(str(failure.value)) == ["RUN005"]


def test_words_are_quoted_and_files_removed_however_it_ends(host: Host) -> None:
    given: list[Any] = []
    host.node.answer = lambda *words, stdin: [*map(given.append, [(words, stdin)])]
    unit(host).start("what", ["kubeadm", "join", "--config", "/a b"], remove=["/a b"])
    ((_, name, description), script) = given[0]
    assert (name, description) == ("unit", "what")
    lines = script.splitlines()
    assert lines[2:5] == ["kubeadm join --config '/a b'", "status=$?", "rm -f -- '/a b'"]


def test_files_are_removed_when_the_service_is_stopped(host: Host, tmp_path: Path) -> None:
    given: list[Any] = []
    host.node.answer = lambda *words, stdin: [*map(given.append, [stdin])]
    secret, started = tmp_path / "a b", tmp_path / "started"
    secret.write_text("token")
    wait = f"touch {started}; exec sleep 3600"
    unit(host).start("what", ["sh", "-c", wait], remove=[str(secret)])
    shell = subprocess.Popen(["sh", "-c", given[0]], start_new_session=True)
    assert until(started.exists)
    os.killpg(shell.pid, signal.SIGTERM)  # as systemd does: all of the service's processes
    assert shell.wait() == 143
    assert not secret.exists()


def test_what_is_in_vain_is_stopped_and_its_reason_raised(host: Host) -> None:
    answers(host, ("running", "one\n"), ("running", ""))
    asked = iter([None, "the kubelet keeps exiting"])
    stopped: list[str] = []
    look = host.node.answer

    def answer(script: str, unit: str, *words: str, **known: Any) -> list[str]:
        if script != job._STOP:
            return look(script, unit, *words, **known)
        stopped.append(unit)
        return []

    host.node.answer = answer
    with pytest.raises(RemoteFailure, match="the kubelet keeps exiting"):
        unit(host).follow(print, minutes=1, permanent_failure=lambda: next(asked))
    assert stopped == ["unit"]
