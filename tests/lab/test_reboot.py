"""deploys/reboot.py: one node at a time is away, and what interrupts it is continued."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.api import Lab
from lab.waiting import until
from messages import codes
from tests.lab import executions
from tests.lab.clusters import all_are_ready, kubectl, nodes
from tests.lab.rollouts import (
    DEPLOY,
    ask_for_reboot,
    blackout,
    boots,
    cordons,
    interrupted,
    notes,
    reboot,
    rebooted,
)
from tests.lab.runs import Run, build, ok, pyinfra
from tests.lab.test_remove import running, workload

INVENTORY = """control_plane = [
    ("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})
]
workers = [("node2", {"address": "192.168.2.12"}), ("node3", {"address": "192.168.2.13"})]
"""
NODES = ("node1", "node2", "node3")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    lab = new_lab("reboot", INVENTORY, in_use=True)
    build(lab)
    yield lab
    lab.down()


@pytest.fixture
def cluster(made: Lab) -> Iterator[Lab]:
    """All nodes are Ready; afterwards it has nothing but its own pods."""
    all_are_ready(made, *NODES)
    yield made
    for kind in ("pdb", "deployment", "pod"):
        kubectl(made, "delete", kind, "--all", "--grace-period=0", "--force")
    # Not the API server's own, to which kube-proxy's rules lead.
    services = set(kubectl(made, "get", "service", "-o", "name").split()) - {"service/kubernetes"}
    for each in services:
        kubectl(made, "delete", each)


def whole(lab: Lab) -> None:
    """Nothing of a roll-out is left, and a second run changes nothing."""
    assert (cordons(lab), notes(lab)) == ({}, {})
    again = reboot(lab)
    assert again.status == 0, again.output
    assert all(again.left_alone(name) for name in NODES), again.output


def said(run: Run, node: str) -> list[str]:
    return codes("\n".join(run.lines(node)))


@contextmanager
def watched(lab: Lab, kind: str, columns: str) -> Iterator[list[list[str]]]:
    """Record all states of the objects of a kind meanwhile, in their order: columns of each."""
    found: list[list[str]] = []
    command = ["kubectl", "--context=bramble", "get", kind, "--watch", "--no-headers"]
    with tempfile.NamedTemporaryFile("w+") as seen:
        process = subprocess.Popen(
            lab.operator_command([*command, "-o", f"custom-columns={columns}"]),
            env=lab.operator_environment(),
            stdout=seen,
        )
        try:
            assert until(lambda: Path(seen.name).read_text()), "nobody watches"
            yield found
        finally:
            process.terminate()
            process.wait()
        found += [line.split() for line in Path(seen.name).read_text().splitlines()]


def test_nothing_to_do_costs_nothing(cluster: Lab) -> None:
    before = boots(cluster)
    executions.spare(cluster, NODES, lambda: reboot(cluster))
    assert rebooted(cluster, before) == []
    whole(cluster)


def test_those_that_need_it_are_rebooted_one_at_a_time(cluster: Lab) -> None:
    """The gateway, which is the control plane, first: the connections to the others end with it."""
    ask_for_reboot(cluster, "node1", "node3")
    before, kept = boots(cluster), files(cluster)
    dry = pyinfra(cluster, "--dry", "--diff", deploys=DEPLOY)
    assert dry.status == 0, dry.output
    order = [line for line in dry.lines("node1") if line[:2] in ("1.", "2.", "3.")]
    assert [line.split(":")[0] for line in order] == ["1. node1", "2. node3"]
    assert "ROL006" in said(dry, "node1")
    assert rebooted(cluster, before) == []
    assert notes(cluster) == {}
    run = reboot(cluster)
    assert run.status == 0, run.output
    assert rebooted(cluster, before) == ["node1", "node3"]
    assert run.left_alone("node2"), run.output
    whole(cluster)
    assert files(cluster) == kept, "something is remembered on this computer"


def files(lab: Lab) -> dict[str, bytes]:
    """What bramble keeps on this computer, without the logs."""
    folder = lab.project / ".cluster"
    found = [each for each in folder.rglob("*") if each.is_file() and "logs" not in each.parts]
    return {str(each): each.read_bytes() for each in found}


def test_no_request_fails_where_there_are_two_replicas(cluster: Lab) -> None:
    """Both begin on one node. It is away once they are no endpoints there, and never two are."""
    kubectl(cluster, "cordon", "node2")
    workload(cluster, "Deployment", "web", replicas=2, node="")
    kubectl(cluster, "expose", "deployment", "web", "--port=80")
    assert until(lambda: running(cluster, "web") == ["node3", "node3"])
    assert until(lambda: endpoints(cluster) == ["node3", "node3"])
    kubectl(cluster, "uncordon", "node2")
    ask_for_reboot(cluster, "node2", "node3")
    away = {}

    def look(node: str) -> Callable[[], None]:
        def at() -> None:
            away[node] = endpoints(cluster)

        return at

    of_all = "NAME:.metadata.name,OFF:.spec.unschedulable"
    names = "NODES:.subsets[*].addresses[*].nodeName"
    with (
        watched(cluster, "endpoints/web", names) as states,
        watched(cluster, "nodes", of_all) as seen,
    ):
        run = interrupted(cluster, "Reboot node3", look("node3"))
        assert run.status == 0, run.output
    assert set(away["node3"]) == {"node2"}
    assert "<none>" not in {state[0] for state in states}, states
    cordoned: set[str] = set()
    for name, off in seen:
        cordoned = cordoned | {name} if off == "true" else cordoned - {name}
        assert len(cordoned) <= 1, seen
    assert {name for name, off in seen if off == "true"} == {"node2", "node3"}
    whole(cluster)


def endpoints(lab: Lab) -> list[str]:
    """The nodes of the endpoints of the Service ``web``."""
    found = kubectl(lab, "get", "endpoints", "web", "--ignore-not-found", "-o", "json")
    subsets = json.loads(found or "{}").get("subsets", [])
    return [each["nodeName"] for one in subsets for each in one["addresses"]]


def test_what_stands_in_the_way_is_named_beforehand(cluster: Lab) -> None:
    workload(cluster, "Pod", "solo")
    workload(cluster, "Deployment", "alone")
    kubectl(cluster, "create", "pdb", "keep", "--selector=app=alone", "--min-available=1")
    assert until(lambda: '"expectedPods": 1' in kubectl(cluster, "get", "pdb", "-o", "json"))
    ask_for_reboot(cluster, "node2", "node3")
    before = boots(cluster)
    run = reboot(cluster)
    assert run.status != 0
    assert {"KUB063", "KUB064", "KUB065"} <= set(said(run, "node1")), run.output
    assert "kubectl delete pod -n default solo" in run.output
    assert rebooted(cluster, before) == []
    assert notes(cluster) == {}
    # What does not need to move is no obstacle, and what the remedies advise leads on.
    kubectl(cluster, "delete", "pod", "-n", "default", "solo", "--grace-period=0", "--force")
    kubectl(cluster, "delete", "pdb", "keep")
    run = reboot(cluster)
    assert run.status == 0, run.output
    assert said(run, "node1") == ["KUB065"], run.output  # it fits nowhere else, and waits
    assert rebooted(cluster, before) == ["node2", "node3"]
    assert until(lambda: running(cluster, "alone") == ["node3"])
    whole(cluster)


def test_a_drain_that_does_not_end_is_undone_and_stops_the_rest(cluster: Lab) -> None:
    workload(cluster, "Deployment", "pinned", replicas=2, node="node2")
    kubectl(cluster, "create", "pdb", "keep", "--selector=app=pinned", "--min-available=1")
    ask_for_reboot(cluster, "node2", "node3")
    before, short = boots(cluster), ["--data", "drain_seconds=30"]
    run = reboot(cluster, *short)
    assert run.status != 0
    assert said(run, "node2")[:1] == ["KUB066"], run.output
    assert "(keep)" in run.output
    assert "ROL008" in run.output
    assert run.left_alone("node3"), run.output
    assert rebooted(cluster, before) == []
    assert notes(cluster) == {}
    assert cordons(cluster) == {}
    # Another's cordon stays, whatever happens.
    kubectl(cluster, "cordon", "node2")
    assert reboot(cluster, *short).status != 0
    assert cordons(cluster) == {"node2": ""}
    kubectl(cluster, "delete", "pdb", "keep")
    run = reboot(cluster)
    assert run.status == 0, run.output
    assert said(run, "node2") == ["ROL005"], run.output
    assert cordons(cluster) == {"node2": ""}
    assert rebooted(cluster, before) == ["node2", "node3"]
    kubectl(cluster, "uncordon", "node2")
    whole(cluster)


def test_a_node_that_is_away_keeps_the_others_here(cluster: Lab) -> None:
    ask_for_reboot(cluster, "node2", "node3")
    cluster.power_off("node3")
    before = boots(cluster, "node1", "node2")
    run = reboot(cluster)
    assert said(run, "node1")[-1] in ("ROL001", "ROL003"), run.output
    assert rebooted(cluster, before) == []
    cluster.power_on("node3")
    all_are_ready(cluster, *NODES)
    ask_for_reboot(cluster, "node3")
    before = boots(cluster)
    ok(cluster.ssh("node3", "sudo systemctl stop kubelet"))
    assert until(lambda: not_ready(cluster) == ["node3"], pause=1)
    run = reboot(cluster)
    assert run.status != 0
    assert said(run, "node1")[-1] == "ROL001", run.output
    assert rebooted(cluster, before) == []
    # Alone it may be worked on: it is away already. Its pods can't end.
    run = reboot(cluster, "--limit", "node3")
    assert run.status == 0, run.output
    assert rebooted(cluster, before) == ["node3"]
    assert reboot(cluster, "--limit", "node2").status == 0
    whole(cluster)


def not_ready(lab: Lab) -> list[str]:
    """The nodes that the cluster takes for away."""
    found = {
        name: next(each for each in node["status"]["conditions"] if each["type"] == "Ready")
        for name, node in nodes(lab).items()
    }
    return [name for name, condition in found.items() if condition["status"] != "True"]


def test_a_node_that_does_not_come_back_stops_the_rest(cluster: Lab) -> None:
    ask_for_reboot(cluster, "node2", "node3")
    before = boots(cluster)
    short = ["--data", "nodes_ready_seconds=60"]
    ok(cluster.ssh("node2", "sudo systemctl disable kubelet"))
    run = reboot(cluster, *short)
    assert run.status != 0
    assert said(run, "node2")[:1] == ["ROL004"], run.output
    assert run.counts("node3")[::2] == (0, 0), run.output
    assert rebooted(cluster, before) == ["node2"]
    assert cordons(cluster) == {"node2": DEPLOY[0]}
    ok(cluster.ssh("node2", "sudo systemctl enable --now kubelet"))
    run = reboot(cluster)
    assert run.status == 0, run.output
    assert rebooted(cluster, before) == ["node2", "node3"]
    whole(cluster)


def test_what_a_reboot_does_not_mend_is_said(cluster: Lab) -> None:
    """A kernel that is installed, and that the board does not start."""
    kernel = ok(cluster.ssh("node3", "uname -r"))
    newer = "/boot/vmlinuz-" + kernel.replace(kernel.split(".")[0], "99", 1)
    ok(cluster.console("node3", ["touch", newer]))
    run = reboot(cluster)
    assert run.status == 0, run.output
    assert said(run, "node3") == ["ROL007"], run.output
    ok(cluster.console("node3", ["rm", newer]))
    whole(cluster)


def test_all_are_rebooted_once_if_every_step_is_interrupted(cluster: Lab) -> None:
    before, every = boots(cluster), ["--data", "reboot=all"]
    interrupted(cluster, "Drain node2", None, *every)
    assert rebooted(cluster, before) == ["node1"]
    first = boots(cluster)["node1"]
    interrupted(cluster, "node2 Ready", None, *every)
    second = boots(cluster)["node2"]
    run = reboot(cluster, *every)
    assert run.status == 0, run.output
    now = boots(cluster)
    assert (now["node1"], now["node2"]) == (first, second)
    assert rebooted(cluster, before) == list(NODES)
    whole(cluster)


WORKER = ("Drain node2", "Reboot node2", "node2 Ready")
CONTROL_PLANE = ("Drain node1", "Reboot node1", "node1 Ready")


@pytest.mark.long
@pytest.mark.parametrize(
    ("steps", "cut"),
    [
        (CONTROL_PLANE, "node1"),
        (WORKER, "node1"),
        (WORKER, "node2"),
        (CONTROL_PLANE, None),
        (WORKER, None),
    ],
)
def test_the_power_goes_at_every_step(cluster: Lab, steps: Sequence[str], cut: str | None) -> None:
    """Of the node, of the gateway and control plane, or of this computer (None)."""
    node = steps[0].split()[-1]
    for step in steps:
        ask_for_reboot(cluster, node, "node3")
        before = boots(cluster)
        run = interrupted(cluster, step, blackout(cluster, cut) if cut else None)
        # A node that is waited for anyway may come back in time.
        assert ("node3" in rebooted(cluster, before)) == (run.status == 0), run.output
        assert set(cordons_when_it_answers(cluster)) <= {node}
    assert until(lambda: succeeded(cluster))
    assert rebooted(cluster, before)[-1] == "node3"
    all_are_ready(cluster, *NODES)
    whole(cluster)


def cordons_when_it_answers(lab: Lab) -> dict[str, str]:
    def asked() -> tuple[dict[str, str]] | None:
        try:
            return (cordons(lab),)
        except (AssertionError, ValueError, KeyError):
            return None

    found: Any = until(asked, pause=1)
    return dict(found[0])


def succeeded(lab: Lab) -> Run | None:
    """A run, once the nodes that were cut off are back."""
    run = reboot(lab)
    return run if run.status == 0 else None
