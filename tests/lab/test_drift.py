"""What a person sees: what would change, what has come of a run, what is no longer as it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from lab.api import Lab
from report import result
from tests.lab import tampering
from tests.lab.runs import CLUSTER, Run, pyinfra

TWO = """head = [("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})]
workers = [("node2", {"address": "192.168.2.12"})]
"""
SAME, COULD_NOT_TELL, DRIFT = 0, 1, 2


@dataclass
class Desk:
    """Two blank nodes, the differences shown of them, and the run that makes them a cluster."""

    lab: Lab
    diff: Run
    run: Run
    managed: set[tampering.Managed] = field(default_factory=set)


@pytest.fixture(scope="module")
def desk(new_lab: Callable[..., Lab]) -> Iterator[Desk]:
    lab = new_lab("drift", TWO)
    lab.up()
    diff = report(lab, "diff")
    yield Desk(lab, diff, pyinfra(lab, "-y", deploys=CLUSTER))
    lab.down()


def report(lab: Lab, *arguments: str) -> Run:
    done = lab.run(["python", "-m", "report", *arguments], timeout=120)
    return Run(done.returncode, done.stdout + done.stderr)


def drift(lab: Lab, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = lab.run(["python", "-m", "report", "drift", "--json", *arguments], timeout=120)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def named(found: dict[str, Any]) -> set[tampering.Managed]:
    """What drift says has changed."""
    return {
        (node, thing)
        for node, said in found["nodes"].items()
        for thing, state in said["things"].items()
        if state == "changed"
    }


def mended(lab: Lab) -> set[tampering.Managed]:
    """What a run for real has changed."""
    path = lab.desk / ".cluster" / "result.json"
    env = {result.VARIABLE: str(path)}
    done = lab.run(["pyinfra", "inventory.py", *CLUSTER, "-y"], timeout=200, env=env)
    assert done.returncode == 0, done.stderr
    found = result.read(path)
    assert found is not None
    return {
        (step.node, thing)
        for step in found.steps
        for thing, state in step.things.items()
        if state == "changed"
    }


def test_what_drifts_is_named_and_mended_thing_by_thing(desk: Desk) -> None:
    assert desk.run.status == 0, desk.run.output
    status, found = drift(desk.lab)
    assert (status, named(found)) == (SAME, set())
    managed = {(n, thing) for n, said in found["nodes"].items() for thing in said["things"]}
    assert len(managed) > 80
    for batch, plan in sorted(tampering.plans(managed).items()):
        tampering.spoil(desk.lab, plan)
        status, found = drift(desk.lab)
        assert status == DRIFT
        assert named(found) == plan.spoilt, batch
        assert mended(desk.lab) == plan.spoilt, batch
    status, found = drift(desk.lab)
    assert (status, named(found)) == (SAME, set())
