"""Run `make verify` on a lab's nodes."""

from __future__ import annotations

import json
from collections.abc import Mapping
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


def verify(
    lab: Lab,
    report: Path,
    *arguments: str,
    pytest_options: str | None = None,
    changed: Mapping[str, object] | None = None,
) -> Verified:
    """
    Run it.

    + report: where to write its report
    + arguments: pytest's
    + pytest_options: in place of the lab's own
    + changed: settings that differ for this run
    """
    overrides = report.with_name("overrides.json")
    known = json.loads(Path(lab.operator_environment()[VARIABLE]).read_text())
    overrides.write_text(json.dumps(known | dict(changed or {})))
    command = [*VERIFY, f"--junitxml={report}", *arguments]
    environment = {VARIABLE: str(overrides)}
    if pytest_options is not None:
        environment["PYTEST_ADDOPTS"] = pytest_options
    done = lab.run(command, env=environment)
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
