"""Run a node's script on this computer, with programs that a test gives it."""

from __future__ import annotations

import subprocess
from pathlib import Path


def shell(
    script: str, *arguments: str, tools: Path, **programs: str
) -> subprocess.CompletedProcess[str]:
    """
    Run a node's script with these programs before the machine's own.

    + tools: the folder in which they are written
    """
    for name, text in programs.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    environment = {"PATH": f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin"}
    command = ["sh", "-c", script, "sh", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
