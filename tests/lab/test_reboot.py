"""deploys/reboot.py: one node at a time is away, and what interrupts it is continued."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lab.api import Lab
from tests.lab import executions
from tests.lab.clusters import all_are_ready, nodes
from tests.lab.runs import CLUSTER, Run, ok, pyinfra

INVENTORY = """control_plane = [
    ("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})
]
workers = [("node2", {"address": "192.168.2.12"}), ("node3", {"address": "192.168.2.13"})]
"""
NODES = ("node1", "node2", "node3")
DEPLOY = ["deploys/reboot.py"]
CORDON = "bramble/cordon"
MOST_EXECUTIONS = 3

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    lab = new_lab("reboot", INVENTORY, drain_seconds=30)
    lab.up()
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output
    all_are_ready(lab, *NODES)
    yield lab
    lab.down()


def ask_for_reboot(lab: Lab, *names: str) -> None:
    """As Debian's packages do; a reboot takes the file away."""
    for name in names:
        ok(lab.console(name, ["touch", "/run/reboot-required"]))


def boots(lab: Lab) -> dict[str, str]:
    """The id of each node's present boot."""
    command = ["cat", "/proc/sys/kernel/random/boot_id"]
    return {name: ok(lab.console(name, command)) for name in NODES}


def cordons(lab: Lab) -> dict[str, str]:
    """The nodes that are cordoned, with bramble's notes."""
    return {
        name: node["metadata"].get("annotations", {}).get(CORDON, "")
        for name, node in nodes(lab).items()
        if node["spec"].get("unschedulable")
    }


def reboot(lab: Lab, *arguments: str) -> Run:
    return pyinfra(lab, "-y", *arguments, deploys=DEPLOY)


def test_nothing_to_do_costs_nothing(cluster: Lab) -> None:
    before = boots(cluster)
    with executions.counted(cluster, *NODES) as since:
        run = reboot(cluster)
        assert run.status == 0, run.output
        assert all(run.left_alone(name) for name in NODES), run.output
        assert max(since().values()) <= MOST_EXECUTIONS
    assert boots(cluster) == before
    assert cordons(cluster) == {}


def test_those_that_need_it_are_rebooted(cluster: Lab) -> None:
    ask_for_reboot(cluster, "node1", "node3")
    before = boots(cluster)
    dry = pyinfra(cluster, "--dry", "--diff", deploys=DEPLOY)
    assert dry.status == 0, dry.output
    print(dry.output)
    assert boots(cluster) == before
    run = reboot(cluster)
    print(run.output)
    assert run.status == 0, run.output
    after = boots(cluster)
    assert [name for name in NODES if before[name] != after[name]] == ["node1", "node3"]
    assert cordons(cluster) == {}
    all_are_ready(cluster, *NODES)
    again = reboot(cluster)
    assert all(again.left_alone(name) for name in NODES), again.output
