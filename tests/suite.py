"""
`make test`, `make test-slow`, `make test-long`: run the parts of the tests one after the other.

pyinfra patches sockets and threads of its process, so its tests have one of their own; cards are
written to image files and loop devices. What needs no lab runs at once; what one part waits for,
another uses. Afterwards as many labs run at once as the machine has room for.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO

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
# Groups of parts that run at once; the first of a group, which takes longest, shows its progress.
PARTS: dict[str, tuple[tuple[Part, ...], ...]] = {
    "test": (
        (
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
            Part(
                "facts, operations, what reaches a node",
                ("tests/facts", "tests/operations", "tests/remote", "tests/runs"),
            ),
            Part("cards", ("tests/cards", "--progress"), at_once=1),
        ),
        (
            Part(
                "whole runs on virtual nodes",
                ("tests/lab", "--progress", "-m", "not (slow or long)", *_FILES),
                labs=True,
            ),
        ),
    ),
    "test-slow": (
        (
            Part(
                "what takes minutes each, on virtual nodes",
                ("tests/lab", "--progress", "-m", "slow and not long", *_FILES),
                labs=True,
            ),
        ),
    ),
    "test-long": (
        (
            Part(
                "what takes longest, on virtual nodes: power cuts at every step among it",
                ("tests/lab", "--progress", "-m", "long", *_FILES),
                labs=True,
            ),
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
    for group in PARTS[name]:
        so_far = time.monotonic() - started
        print(f"\nmake {name} ({so_far // 60:.0f} min {so_far % 60:.0f} s so far):", flush=True)
        failed += _run_at_once(group)
    if failed:
        print(f"make {name}: failed: {'; '.join(failed)}", file=sys.stderr)
    return bool(failed)


def _run_at_once(group: Sequence[Part]) -> list[str]:
    """Run parts at once, show what they print one after the other; return those that failed."""
    with ExitStack() as files:
        running: list[tuple[Part, IO[bytes] | None, subprocess.Popen[bytes]]] = []
        for part in group:
            argv, how = command(part)
            print(f"  {part.what}{how}", flush=True)
            kept = files.enter_context(tempfile.TemporaryFile()) if running else None
            running.append((part, kept, subprocess.Popen(argv, stdout=kept, stderr=kept)))
        failed = []
        for part, output, process in running:
            if process.wait():
                failed.append(part.what)
            if output:
                output.seek(0)
                print(f"\n{part.what}:", flush=True)
                shutil.copyfileobj(output, sys.stdout.buffer)
                sys.stdout.flush()
        return failed


if __name__ == "__main__":
    sys.exit(main())
