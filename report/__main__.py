"""`python -m report diff` and `… drift`: what a run would change. Nothing is changed."""

from __future__ import annotations

import argparse
import json
import sys
from typing import NoReturn

from rich.console import Console
from typing_extensions import override

import settings
from messages import run as messages
from report import differences, drift
from report.pyinfra_run import DEPLOY, look

NONE, COULD_NOT_TELL, DRIFT = 0, 1, 2


class _Parser(argparse.ArgumentParser):
    """argparse ends with 2 when it does not understand, which is drift here."""

    @override
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(COULD_NOT_TELL, f"{self.prog}: error: {message}\n")


def _arguments(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Ours, and pyinfra's: what stands after the first --."""
    at = words.index("--") if "--" in words else len(words)
    parser = _Parser(
        prog="python -m report",
        description=__doc__,
        usage="%(prog)s {diff,drift} [--deploy FILE] [--json] [-- MORE OF PYINFRA'S OPTIONS]",
    )
    parser.add_argument("what", choices=["diff", "drift"])
    parser.add_argument(
        "--deploy", default=DEPLOY, metavar="FILE", help="one step alone (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser.parse_args(words[:at]), words[at + 1 :]


def main() -> int:
    """Make a dry run and show its result; returns the exit status."""
    arguments, pyinfras = _arguments(sys.argv[1:])
    out = Console(highlight=False, soft_wrap=True)
    said = Console(highlight=False, soft_wrap=True, stderr=True)
    try:
        here = settings.target(settings.load())
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
        return COULD_NOT_TELL
    (said if arguments.json else out).print(here, style="bold")
    with said.status("reading the nodes; nothing is changed"):
        looked = look(arguments.deploy, pyinfras)
    found = looked.found
    if found is None or (looked.status and not found.failed):
        said.print(looked.said.strip(), markup=False)
        said.print(messages.NOTHING_KNOWN(), style="red")
        return COULD_NOT_TELL
    view = differences if arguments.what == "diff" else drift
    if arguments.json:
        print(json.dumps(view.data(found), indent=2))
    else:
        view.show(found, out)
    if found.failed:
        return COULD_NOT_TELL
    drifted = any(step.changes_something for step in found.steps)
    return DRIFT if drifted and arguments.what == "drift" else NONE


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print(f"\n{messages.NOTHING_KNOWN()}", file=sys.stderr)
        sys.exit(COULD_NOT_TELL)
