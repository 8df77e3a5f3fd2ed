"""A dry run of pyinfra in another process, and its result as data."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from report import result

DEPLOY = "deploys/cluster.py"


@dataclass(frozen=True)
class DryRun:
    """
    + found: the result; None: pyinfra ended without one
    + status: the exit status
    + output: everything that was printed, for when there is nothing better to show
    """

    found: result.Result | None
    status: int
    output: str


def run(deploy: str, arguments: Sequence[str] = ()) -> DryRun:
    """
    Find out what a deploy would change; nothing is changed.

    + deploy: its file
    + arguments: more of them for pyinfra, such as ``--limit node2``
    """
    with tempfile.TemporaryDirectory(prefix="bramble-") as folder:
        path = Path(folder) / "result.json"
        done = subprocess.run(
            [sys.executable, "-m", "pyinfra", "inventory.py", deploy, "--dry", *arguments],
            env=os.environ | {result.VARIABLE: str(path)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        return DryRun(result.read(path), done.returncode, done.stdout)
