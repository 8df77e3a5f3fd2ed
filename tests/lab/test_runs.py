"""What a test says of a run that has no end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.waiting import until
from tests.lab import runs

# As a run that waits for a command: in a greenlet that is not the main one.
ENDLESS = """import pathlib, sys, gevent
def wait_for_the_node():
    pathlib.Path("begun").touch()
    gevent.sleep(3600)
print("--> containerd", file=sys.stderr, flush=True)
gevent.spawn(wait_for_the_node).join()"""


def test_a_run_without_an_end_shows_where_it_and_its_nodes_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Endless(subprocess.Popen[str]):
        """Its time is up as soon as it waits."""

        def communicate(self, input: Any = None, timeout: float | None = None) -> Any:
            if timeout == runs.MUST_END_S:
                assert until((tmp_path / "begun").exists)
                raise subprocess.TimeoutExpired(self.args, timeout)
            return super().communicate(input, timeout)

    asked: list[str] = []

    def console(name: str, argv: list[str]) -> subprocess.CompletedProcess[str]:
        asked.append(argv[0])
        return subprocess.CompletedProcess(argv, 0, "ctr images import", "")

    lab: Any = SimpleNamespace(
        operator_command=lambda _: [sys.executable, "-c", ENDLESS],
        operator_environment=lambda: dict(os.environ),
        project=tmp_path,
        plan=SimpleNamespace(nodes=[SimpleNamespace(name="node1")]),
        console=console,
    )
    monkeypatch.setattr(subprocess, "Popen", Endless)
    with pytest.raises(AssertionError) as shown:
        runs.pyinfra(lab)
    said = str(shown.value)
    assert said.index("no end after") < said.index("--> containerd")
    assert "in wait_for_the_node" in said
    assert "node1:\nctr images import" in said
    assert asked == ["ps"]
