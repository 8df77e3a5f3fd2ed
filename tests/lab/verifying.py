"""Run `make verify` on a lab's nodes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from lab.api import Lab
from settings.overrides import VARIABLE
from tests.project import REPOSITORY

CHECKS = REPOSITORY / "tests" / "cluster"
VERIFY = ["python", "-m", "pytest", str(CHECKS), "-p", "no:cacheprovider"]


@dataclass(frozen=True)
class Verified:
    """
    The result of `make verify`.

    + failed: the checks that failed, with their messages
    + passed, skipped: the others
    """

    status: int
    output: str
    failed: dict[str, str]
    passed: set[str]
    skipped: set[str]


def verify(lab: Lab, report: Path, *arguments: str, **changed: object) -> Verified:
    """
    Run it.

    + report: where to write its report
    + arguments: pytest's
    + changed: settings that differ for this run
    """
    overrides = report.with_name("overrides.json")
    known = json.loads(Path(lab.operator_environment()[VARIABLE]).read_text())
    overrides.write_text(json.dumps(known | changed))
    command = [*VERIFY, f"--junitxml={report}", *arguments]
    done = lab.run(command, env={VARIABLE: str(overrides)})
    failed, passed, skipped = {}, set(), set()
    assert report.exists(), done.stdout + done.stderr
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.attrib["name"]
        problem = case.find("failure") if case.find("failure") is not None else case.find("error")
        if problem is not None:
            failed[name] = problem.attrib["message"]
        elif case.find("skipped") is not None:
            skipped.add(name)
        else:
            passed.add(name)
    return Verified(done.returncode, done.stdout + done.stderr, failed, passed, skipped)
