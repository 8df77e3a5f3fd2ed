"""The script that writes a file: what it says when it cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from messages import codes

SHOW = "from operations import files; print(files._WRITE)"


@pytest.mark.parametrize(
    ("reason", "code"),
    [("No space left on device", "NOD046"), ("Read-only file system", "NOD045")],
)
def test_a_message_is_printed_and_no_command_in_it_is_run(
    tmp_path: Path, reason: str, code: str
) -> None:
    # In a process of its own: other tests have put a word in the script's place.
    script = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True).stdout
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {
        "mktemp": f"echo 'mktemp: {reason}' >&2; exit 1",
        "df": f"touch {tmp_path}/run",
        "sudo": f"touch {tmp_path}/run",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    path = str(tmp_path / "file 100%s")
    done = subprocess.run(
        ["sh", "-c", script, "write", path, "644", "root:root"],
        input="text",
        capture_output=True,
        text=True,
        env={"PATH": f"{programs}:/usr/bin:/bin"},
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert codes(done.stderr) == [code]
    assert path in done.stderr
    assert not (tmp_path / "run").exists()
