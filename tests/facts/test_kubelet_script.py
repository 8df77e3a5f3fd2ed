"""What the fact says of a kubelet whose service systemd shows in one of its states."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from facts.kubelet import Kubelet, KubeletState

SHOWN = "NRestarts=1\nInvocationID=8f\nSubState={state}\n{job}"


def state(folder: Path, shown: str) -> KubeletState:
    """What is read of a node whose systemctl shows this, and whose journal has one line."""
    programs = {"systemctl": f"cat <<'END'\n{shown}END\n", "journalctl": "echo its last line\n"}
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}")
        (folder / name).chmod(0o755)
    script = Kubelet().command().get_raw_value()
    done = subprocess.run(
        ["sh", "-c", f"PATH={folder}:$PATH; {script}"], capture_output=True, text=True, check=True
    )
    assert not done.stderr
    read = Kubelet().process(done.stdout.splitlines())
    assert read is not None
    return read


@pytest.mark.parametrize(
    ("shown", "exited"),
    [
        (SHOWN.format(state="auto-restart", job=""), True),
        (SHOWN.format(state="failed", job=""), True),
        (SHOWN.format(state="running", job=""), False),
        (SHOWN.format(state="start-pre", job="Job=12\n"), False),
        # systemd 257
        (SHOWN.format(state="auto-restart-queued", job="Job=12\n"), False),
        # systemd 252
        (SHOWN.format(state="auto-restart", job="Job=12\n"), False),
        ("", False),
    ],
)
def test_one_whose_next_start_is_queued_has_not_exited_again(
    tmp_path: Path, shown: str, exited: bool
) -> None:
    read = state(tmp_path, shown)
    assert read.exited == exited
    assert read.last_words == ("its last line" if exited else "")
