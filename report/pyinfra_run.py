"""A dry run of pyinfra, started beside this program, and what it has found, as data."""

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
class Looked:
    """
    + found: what the run has found; None: it came to nothing
    + status: its exit status
    + said: all that it printed, for when there is nothing better to show
    """

    found: result.Result | None
    status: int
    said: str


def look(deploy: str, arguments: Sequence[str] = ()) -> Looked:
    """
    See what a deploy would change, and change nothing.

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
        return Looked(result.read(path), done.returncode, done.stdout)
