"""
`make test`, `make test-slow`, `make test-long`: run the parts of the tests one after the other.

pyinfra patches sockets and threads of its process, so its tests have one of their own; cards are
written to image files and loop devices; as many labs run at once as the machine has room for.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from lab import capacity
from tests import needs


@dataclass(frozen=True)
class Part:
    """
    + what: its description
    + arguments: of pytest
    + at_once: processes per processor; 0: one process
    + labs: as many processes as there is room for labs
    """

    what: str
    arguments: tuple[str, ...]
    at_once: float = 0
    labs: bool = False


_FILES = ("--dist", "loadfile", "--no-loadscope-reorder")
PARTS = {
    "test": (
        Part(
            "facts, operations, what reaches a node",
            ("tests/facts", "tests/operations", "tests/remote", "tests/runs"),
        ),
        Part(
            "formats, settings, the stand-in, reports, documentation",
            tuple(
                f"tests/{room}"
                for room in (
                    "formats",
                    "settings",
                    "standin",
                    "report",
                    "workstation",
                    "docs",
                    "itself",
                )
            ),
            at_once=1,
        ),
        Part("cards", ("tests/cards", "--progress"), at_once=1),
        Part(
            "whole runs on virtual nodes",
            ("tests/lab", "--progress", "-m", "not (slow or long)", *_FILES),
            labs=True,
        ),
    ),
    "test-slow": (
        Part(
            "what takes minutes each, on virtual nodes",
            ("tests/lab", "--progress", "-m", "slow and not long", *_FILES),
            labs=True,
        ),
    ),
    "test-long": (
        Part(
            "what takes longest, on virtual nodes: power cuts at every step among it",
            ("tests/lab", "--progress", "-m", "long", *_FILES),
            labs=True,
        ),
    ),
}


def command(part: Part) -> tuple[list[str], str]:
    """The command line of pytest for a part, and its description."""
    how = ""
    count = math.ceil(part.at_once * capacity.processors())
    if part.labs:
        count = capacity.here()
        how = f", {count} lab{'s' * (count != 1)} at once"
    processes = ("-n", str(count)) if count else ()
    return [sys.executable, "-m", "pytest", *part.arguments, *processes], how


def main() -> int:
    """Run all parts; return 1 if one failed."""
    name = sys.argv[1]
    needs.become_root("tests.suite", sys.argv[1:])
    needs.install()
    # Hundreds of runs load the same modules: what one has compiled is there for the next.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(prefix="bramble-bytecode-") as folder:
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        return _run_parts(name)


def _run_parts(name: str) -> int:
    started = time.monotonic()
    failed = []
    for number, part in enumerate(PARTS[name], start=1):
        argv, how = command(part)
        so_far = time.monotonic() - started
        print(
            f"\nmake {name}, part {number} of {len(PARTS[name])}: {part.what}{how} "
            f"({so_far // 60:.0f} min {so_far % 60:.0f} s so far)",
            flush=True,
        )
        if subprocess.run(argv).returncode:
            failed.append(part.what)
    if failed:
        print(f"make {name}: failed: {'; '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
