"""What a person sees: what would change, what has come of a run, what is no longer as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lab.api import Lab
from report import result
from tests.lab import drift_faults, executions
from tests.lab.runs import CLUSTER, Run, changes, pyinfra

pytestmark = pytest.mark.slow

TWO = """control_plane = [("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})]
workers = [("node2", {"address": "192.168.2.12"})]
"""
SSH_ACCESS = ["deploys/ssh_access.py"]
SAME, COULD_NOT_TELL, DRIFT = 0, 1, 2

# What is managed only where a setting asks for it.
SETTINGS_OF_CHOICE = {
    ("node1", "setting SSH password logins"),
    ("node2", "setting SSH password logins"),
    ("node1", "unit bramble-kubectl-proxy.service"),
    ("node1", "file /etc/systemd/system/bramble-kubectl-proxy.service"),
    ("node1", "context bramble-proxy"),
}

# pyinfra, after one of the functions that show the run was broken.
BROKEN = """import sys, pyinfra_cli.main, click
from report import harmless, logs, result, screen, steps, summary
def boom(*a, **k): raise RuntimeError("injected")
owner, name = sys.argv.pop(1).rsplit(".", 1)
setattr(eval(owner), name, boom)
pyinfra_cli.main.main()"""
PARTS = [
    "logs.click.unstyle",
    "screen.Screen._shows",
    "steps.all_of",
    "steps.of_operation",
    "steps.name",
    "result.write",
    "logs.os.open",
    "summary.Report._table",
    "screen.Screen.__init__",
]


@dataclass
class Deployed:
    """Two blank nodes, the differences shown of them, and the run that makes them a cluster."""

    lab: Lab
    diff: Run
    run: Run


@pytest.fixture(scope="module")
def deployed(new_lab: Callable[..., Lab]) -> Iterator[Deployed]:
    lab = new_lab("drift", TWO, in_use=True, password_login=False, kubectl_proxy=True)
    lab.up()
    diff = report(lab, "diff")
    yield Deployed(lab, diff, pyinfra(lab, "-y", deploys=CLUSTER))
    lab.down()


def report(lab: Lab, *arguments: str) -> Run:
    done = lab.run(["python", "-m", "report", *arguments])
    return Run(done.returncode, done.stdout + done.stderr)


def drift(lab: Lab, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = lab.run(["python", "-m", "report", "drift", "--json", *arguments])
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def named(found: dict[str, Any]) -> set[drift_faults.Declared]:
    """What drift says has changed."""
    return {
        (node, resource)
        for node, said in found["nodes"].items()
        for resource, state in said["resources"].items()
        if state == "changed"
    }


def mended(lab: Lab) -> set[drift_faults.Declared]:
    """What a run for real has changed."""
    path = lab.project / ".cluster" / "result.json"
    env = {result.VARIABLE: str(path)}
    done = lab.run(["pyinfra", "inventory.py", *CLUSTER, "-y"], env=env)
    assert done.returncode == 0, done.stderr
    found = result.read(path)
    assert found is not None
    return {
        (step.node, resource)
        for step in found.steps
        for resource, state in step.resources.items()
        if state == "changed"
    }


def test_the_differences_of_blank_nodes_are_grouped_by_node_and_file(deployed: Deployed) -> None:
    assert deployed.diff.status == 0, deployed.diff.output
    heading, first, second = re.split(r"(?m)^node[12]$", deployed.diff.output)
    assert heading.startswith("Target: lab ")
    for node, here in (("192.168.2.11/24", first), ("192.168.2.12/24", second)):
        assert "    /etc/network/interfaces.d/eth0 (create)\n" in here
        assert f"      +    address {node}\n" in here
        assert "    install kubelet, kubeadm, kubectl, kubernetes-cni (" in here
    assert "    set net.ipv4.ip_forward = 1 (it is 0)\n" in first
    assert "kubernetesVersion: v1.36.4" in first  # the release to come, not the minor's first
    assert "No changes" not in deployed.diff.output
    assert "Supported system" not in deployed.diff.output  # nothing of what stays
    assert "(something would change)" not in deployed.diff.output


def test_a_run_ends_with_what_it_came_to_and_what_to_do_next(deployed: Deployed) -> None:
    run = deployed.run
    assert run.status == 0, run.output
    for node in ("node1", "node2"):
        changed, same, failed = run.counts(node)
        assert changed > 8
        assert same > 5
        assert failed == 0
    assert re.search(r"(?m)^Slowest: .+ \(\d+ s\); .+ \(\d+ s\)", run.output)
    assert run.output.endswith("Next: kubectl --context bramble get nodes\n")
    assert re.search(r"(?m)^    changed  Hostname: node2 ", run.output)
    assert not re.search("No changes|Skipped|executed .* commands|Grand total", run.output)


def test_a_second_run_is_short_and_pyinfras_own_words_are_in_the_log_and_with_v(
    deployed: Deployed,
) -> None:
    run = pyinfra(deployed.lab, "-y", deploys=CLUSTER)
    assert "No changes: all nodes match their configuration" in run.output
    assert len(run.output.splitlines()) < 90  # pyinfra has twice as many, and more with each node
    path = re.search(r"\d s\. Log: (\S+)", run.output)
    assert path
    log = deployed.lab.project / path[1]
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.read_text().count("[node2] No changes") > 20
    loud = pyinfra(deployed.lab, "-y", "-v", deploys=SSH_ACCESS)
    assert "[node2] No changes" in loud.output
    assert "Grand total" in loud.output
    assert loud.counts("node2")[2] == 0


WITHOUT_CHANGES = {
    "run": ["pyinfra", "inventory.py", *CLUSTER, "-y"],
    "dry run": ["pyinfra", "inventory.py", *CLUSTER, "--dry"],
    "diff": ["python", "-m", "report", "diff"],
    "drift": ["python", "-m", "report", "drift"],
    "preflight": ["pyinfra", "inventory.py", "deploys/preflight.py", "-y"],
}


def test_what_changes_nothing_is_three_executions_a_node_at_most(deployed: Deployed) -> None:
    with executions.counted(deployed.lab, "node1", "node2") as since:
        for what, command in WITHOUT_CHANGES.items():
            done = deployed.lab.run(command)
            assert done.returncode == 0, done.stdout + done.stderr
            found = since()
            assert all(1 <= count <= executions.MOST for count in found.values()), (what, found)
        # What is counted are commands, and no others than those of that node.
        assert deployed.lab.ssh("node2", "true").returncode == 0
        assert since() == {"node1": 0, "node2": 1}


@pytest.mark.parametrize("part", PARTS)
def test_nothing_that_shows_a_run_can_break_it(deployed: Deployed, part: str) -> None:
    run = ["python", "-c", BROKEN, part, "inventory.py", *SSH_ACCESS, "-y"]
    env = {result.VARIABLE: str(deployed.lab.project / ".cluster" / "broken.json")}
    done = deployed.lab.run(run, env=env)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    # Without a screen pyinfra's own lines are shown, its summary at their end.
    trace = "Grand total" if part == "screen.Screen.__init__" else "injected"
    assert trace in done.stderr


def test_a_declared_resource_without_a_fault_is_noticed() -> None:
    with pytest.raises(AssertionError, match="gizmo new"):
        drift_faults.batches([("node1", "sysctl net.ipv4.ip_forward"), ("node1", "gizmo new")])


def test_what_drifts_is_named_and_mended_thing_by_thing(deployed: Deployed) -> None:
    assert deployed.run.status == 0, deployed.run.output
    status, found = drift(deployed.lab)
    assert (status, named(found)) == (SAME, set())
    managed = {
        (n, resource) for n, said in found["nodes"].items() for resource in said["resources"]
    }
    assert len(managed) > 80
    assert managed >= SETTINGS_OF_CHOICE
    for batch, plan in sorted(drift_faults.batches(managed).items()):
        drift_faults.inject(deployed.lab, plan)
        status, found = drift(deployed.lab)
        assert status == DRIFT
        assert named(found) == plan.changed, batch
        assert mended(deployed.lab) == plan.changed, batch
    status, found = drift(deployed.lab)
    assert (status, named(found)) == (SAME, set())


def test_it_could_not_tell_when_a_node_is_out_of_reach(deployed: Deployed) -> None:
    deployed.lab.cut("node2")
    try:
        status, found = drift(deployed.lab, "--deploy", *SSH_ACCESS)
    finally:
        deployed.lab.mend("node2")
    assert status == COULD_NOT_TELL
    assert found["nodes"]["node1"]["state"] == "same"
    assert found["nodes"]["node2"]["state"] == "unknown"
    assert any("node2" in line for line in found["errors"])
    assert changes(deployed.lab, deploys=SSH_ACCESS) == []
