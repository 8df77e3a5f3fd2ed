"""
`make test` and `make test-slow`: the parts of the tests one after the other, and what it is at.

pyinfra patches sockets and threads of the process that it is in, so what tests it goes by itself;
cards are written to image files and loop devices; virtual nodes go several labs at a time, as many
as the machine has room for when it is their turn.
"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from dataclasses import dataclass

from lab import capacity
from tests import needs


@dataclass(frozen=True)
class Part:
    """
    + what: for a person
    + arguments: of pytest
    + at_once: processes, for each processor; 0: it goes by itself
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
            ("tests/lab", "--progress", "-m", "not slow", *_FILES),
            labs=True,
        ),
    ),
    "test-slow": (
        Part(
            "what takes minutes each, on virtual nodes",
            ("tests/lab", "--progress", "-m", "slow", *_FILES),
            labs=True,
        ),
    ),
}


def command(part: Part) -> tuple[list[str], str]:
    """pytest's command line for a part, and how it is run, for a person."""
    how = ""
    count = math.ceil(part.at_once * capacity.processors())
    if part.labs:
        count = capacity.here()
        how = f", {count} lab{'s' * (count != 1)} at once"
    processes = ("-n", str(count)) if count else ()
    return [sys.executable, "-m", "pytest", *part.arguments, *processes], how


def main() -> int:
    """Run all parts; the status is 1 where one of them failed."""
    name = sys.argv[1]
    needs.become_root("tests.suite", sys.argv[1:])
    needs.install()
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
