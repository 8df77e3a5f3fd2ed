"""Each module can be the first that is imported: no import goes in a circle."""

from __future__ import annotations

import subprocess
import sys

from tests.project import REPOSITORY

ROOMS = ("facts", "operations", "remote", "report", "runs", "workstation")
# A child for each module, of a process that has loaded what none of them is.
EACH = """
import os, sys, traceback
import pyinfra_cli.main, cryptography.x509, pydantic, requests, ruamel.yaml
status = 0
for name in sys.argv[1:]:
    if os.fork() == 0:
        try:
            __import__(name)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    status |= os.wait()[1]
sys.exit(bool(status))
"""


def test_no_import_goes_in_a_circle() -> None:
    files = [file for room in ROOMS for file in sorted((REPOSITORY / room).rglob("*.py"))]
    parts = [file.relative_to(REPOSITORY).with_suffix("").parts for file in files]
    names = [".".join(part for part in each if part != "__init__") for each in parts]
    assert len(names) > 150
    command = [sys.executable, "-c", EACH, *names]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
