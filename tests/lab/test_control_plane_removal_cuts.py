"""
The removal of a control plane is cut off: the run is killed once the node is drained, or the node
loses its power between its leave of etcd and its reset. It is to stay after all, and joins again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from shlex import quote

import pytest

from facts.etcd import ETCDCTL
from lab.api import Lab
from lab.waiting import until
from tests.lab.clusters import all_are_ready, nodes
from tests.lab.rollouts import cordons
from tests.lab.runs import CLUSTER, cut, ok, pyinfra, start
from tests.lab.writes import Writes

pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]

ADDRESS = "192.168.2.10"
REMOVE = ["deploys/remove.py"]
PLANES = ("node1", "node2", "node3")
NODES = (*PLANES, "node4")
INVENTORY = """control_plane = [
    (f"node{n}", {"address": f"192.168.2.1{n}"}) for n in (1, 2, 3)
]
workers = [("node4", {"address": "192.168.2.14"})]
"""
# What a run prints (-v) once the node is drained, and once it is no member of etcd.
UNITS = r"Starting (.* )?operation: .*Units of a control plane\s*$"
LEFT_ETCD = r"the member \w+ of etcd at \S+ \(\w+\) is removed"


@pytest.fixture(scope="module")
def made(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    lab = new_lab(
        "leaving", INVENTORY, in_use=True, topology="router", control_plane_address=ADDRESS
    )
    lab.up()
    yield lab
    lab.down()


@pytest.fixture
def lab(made: Lab) -> Lab:
    """With three control planes and a worker, whatever has left before."""
    joins_again(made)
    return made


def joins_again(lab: Lab) -> None:
    """One run of cluster.py makes the cluster whole, with all control planes of the inventory."""
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output
    all_are_ready(lab, *NODES)
    for name in PLANES:
        assert voters(lab, name) == {*PLANES}
    assert cordons(lab) == {}
    assert "node-role.kubernetes.io/worker" in nodes(lab)["node4"]["metadata"]["labels"]
    assert until(lambda: len(holders(lab)) == 1), holders(lab)


def voters(lab: Lab, asked: str) -> set[str]:
    """The members of etcd by name, as a node knows them: all of them have a vote."""
    script = f"{ETCDCTL} etcdctl member list"
    rows = [
        line.split(", ")
        for line in lab.ssh(asked, f"sudo sh -c {quote(script)}").stdout.split("\n")
        if line
    ]
    assert all(row[-1] == "false" for row in rows)
    return {row[2] for row in rows}


def holders(lab: Lab) -> list[str]:
    command = ["ip", "-o", "-4", "address", "show", "to", ADDRESS]
    return [name for name in PLANES if ok(lab.console(name, command))]


def cut_off(lab: Lab, node: str, step: str, power: str) -> None:
    """
    Remove a node, and cut that off at a step.

    + power: the node whose power goes; "": the run is killed
    """
    run = start(lab, "-y", "-v", "--data", f"node={node}", deploys=REMOVE)
    assert run.stdout is not None
    lines = []
    for line in run.stdout:
        lines.append(line)
        if re.search(step, line):
            break
    else:
        raise AssertionError("".join(lines))
    said = "".join(lines) + cut(lab, run, power)
    stays = [name for name in PLANES if name != node]
    # A majority is there again without anybody's help, and nobody but the node has left it.
    assert until(lambda: all(answers(lab, name) for name in stays), pause=1), said
    assert {*stays} <= voters(lab, stays[0]) <= {*PLANES}


def answers(lab: Lab, name: str) -> bool:
    """Whether a control plane's own API server is well, with its etcd."""
    ask = "sudo kubectl --kubeconfig=/etc/kubernetes/admin.conf get --raw=/readyz"
    here = f"--server=https://192.168.2.1{name[-1]}:6443"
    return lab.ssh(name, f"{ask} {here}").stdout == "ok"


@pytest.mark.parametrize(
    ("step", "power"),
    [(UNITS, ""), (LEFT_ETCD, "node1")],
    ids=["drained", "left-etcd"],
)
def test_one_that_stays_in_the_inventory_joins_again(lab: Lab, step: str, power: str) -> None:
    """The first of the inventory."""
    with Writes(lab) as writes:
        cut_off(lab, "node1", step, power)
        joins_again(lab)
    writes.longest_gap()
