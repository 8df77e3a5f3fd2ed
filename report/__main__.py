"""`python -m report diff` and `… drift`: show what a run would change, and change nothing."""

from __future__ import annotations

import argparse
import json
import sys
from typing import NoReturn

from rich.console import Console
from typing_extensions import override

import settings
from messages import run as messages
from report import differences, drift, dry_run
from report.dry_run import DEPLOY

NONE, UNKNOWN, DRIFT = 0, 1, 2


class _Parser(argparse.ArgumentParser):
    """argparse exits with 2 for a bad command line, which means drift here."""

    @override
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(UNKNOWN, f"{self.prog}: error: {message}\n")


def _arguments(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split them into those of this program and those of pyinfra, after the first --."""
    at = words.index("--") if "--" in words else len(words)
    parser = _Parser(
        prog="python -m report",
        description=__doc__,
        usage="%(prog)s {diff,drift} [--deploy FILE] [--json] [-- MORE OF PYINFRA'S OPTIONS]",
    )
    parser.add_argument("what", choices=["diff", "drift"])
    parser.add_argument(
        "--deploy", default=DEPLOY, metavar="FILE", help="the deploy (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser.parse_args(words[:at]), words[at + 1 :]


def main() -> int:
    """Make a dry run and show its result; returns the exit status."""
    arguments, pyinfras = _arguments(sys.argv[1:])
    out = Console(highlight=False, soft_wrap=True)
    said = Console(highlight=False, soft_wrap=True, stderr=True)
    try:
        target = settings.target(settings.load())
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
        return UNKNOWN
    (said if arguments.json else out).print(target, style="bold")
    with said.status("reading the nodes; nothing is changed"):
        done = dry_run.run(arguments.deploy, pyinfras)
    found = done.found
    if found is None or (done.status and not found.failed):
        said.print(done.output.strip(), markup=False)
        said.print(messages.NOTHING_KNOWN(), style="red")
        return UNKNOWN
    view = differences if arguments.what == "diff" else drift
    if arguments.json:
        print(json.dumps(view.data(found), indent=2))
    else:
        view.show(found, out)
    if found.failed:
        return UNKNOWN
    drifted = any(step.changes_something for step in found.steps)
    return DRIFT if drifted and arguments.what == "drift" else NONE


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print(f"\n{messages.NOTHING_KNOWN()}", file=sys.stderr)
        sys.exit(UNKNOWN)
