"""
The removal of a control plane is cut off at every step: the power of the node that leaves, that of
the control plane which removes it, and the run itself. The next run goes on where it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from shlex import quote

import pytest

from facts.etcd import ETCDCTL
from lab.api import Lab
from lab.waiting import until
from messages import codes
from tests.lab.clusters import all_are_ready, nodes
from tests.lab.rollouts import cordons
from tests.lab.runs import CLUSTER, Run, changes, cut, ok, pyinfra, start
from tests.lab.writes import Writes

pytestmark = [pytest.mark.every_step, pytest.mark.timeout(7200)]

ADDRESS = "192.168.2.10"
REMOVE, RESET = ["deploys/remove.py"], ["deploys/reset.py"]
PLANES = ("node1", "node2", "node3")
NODES = (*PLANES, "node4")
INVENTORY = """control_plane = [
    (f"node{n}", {"address": f"192.168.2.1{n}"}) for n in (1, 2, 3)
]
workers = [("node4", {"address": "192.168.2.14"})]
"""
# Of a control plane, what keepalived and a cluster leave.
LEFT = """ls -d /etc/keepalived/keepalived.conf /etc/kubernetes/pki /etc/kubernetes/manifests/* \
/var/lib/etcd/member 2>/dev/null; systemctl is-active keepalived"""

# What a run prints (-v) when it is at a step.
DRAIN, UNITS, ETCD, NODE = (
    rf"Starting (.* )?operation: .*{step}\s*$"
    for step in ("Drain", "Units of a control plane", "etcd", "Node in the cluster")
)
LEFT_ETCD = r"the member \w+ of etcd at \S+ \(\w+\) is removed"
PREFLIGHT, IN_RESET = (rf"kubeadm reset: {phase}" for phase in ("preflight", "reset"))


@pytest.fixture(scope="module")
def made(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    lab = new_lab("leaving", INVENTORY, topology="router", control_plane_address=ADDRESS)
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
    assert len(holders(lab)) == 1


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


def arguments(node: str) -> tuple[str, ...]:
    return ("-y", "-v", "--data", f"node={node}")


def cut_off(lab: Lab, node: str, step: str, power: str) -> bool:
    """
    Remove a node, and cut that off at a step.

    + power: the node whose power goes; "": the run is killed
    + returns: False: the step was not begun, since an earlier cut came after it; it is removed
    """
    run = start(lab, *arguments(node), deploys=REMOVE)
    assert run.stdout is not None
    lines = []
    for line in run.stdout:
        lines.append(line)
        if re.search(step, line):
            break
    else:
        run.communicate()
        is_removed(lab, node, Run(run.returncode, "".join(lines)))
        return False
    said = "".join(lines) + cut(lab, run, power)
    stays = [name for name in PLANES if name != node]
    # A majority is there again without anybody's help, and nobody but the node has left it.
    assert until(lambda: all(answers(lab, name) for name in stays), pause=1), said
    assert {*stays} <= voters(lab, stays[0]) <= {*PLANES}
    return True


def answers(lab: Lab, name: str) -> bool:
    """Whether a control plane's own API server is well, with its etcd."""
    ask = "sudo kubectl --kubeconfig=/etc/kubernetes/admin.conf get --raw=/readyz"
    here = f"--server=https://192.168.2.1{name[-1]}:6443"
    return lab.ssh(name, f"{ask} {here}").stdout == "ok"


def is_removed(lab: Lab, node: str, run: Run) -> None:
    """It has left, nothing is left of it, and the others are well."""
    assert run.status == 0, run.output
    stays = [name for name in PLANES if name != node]
    for name in stays:
        assert voters(lab, name) == {*stays}
    all_are_ready(lab, *(name for name in NODES if name != node))
    assert cordons(lab) == {}
    assert len(found := holders(lab)) == 1
    assert found != [node]
    assert ok(lab.console(node, ["sh", "-c", f"{LEFT} || :"])) == "inactive"
    again = pyinfra(lab, "-y", "--data", f"node={node}", deploys=REMOVE)
    assert again.status == 0, again.output
    assert not re.search(r"(?m)^ +changed ", again.output), again.output


@pytest.mark.parametrize(
    ("node", "power", "steps"),
    [
        ("node3", "node3", (UNITS, ETCD, LEFT_ETCD, PREFLIGHT, IN_RESET)),
        ("node2", "node1", (DRAIN, UNITS, ETCD, LEFT_ETCD, PREFLIGHT, NODE)),
        ("node1", "", (DRAIN, UNITS, ETCD, LEFT_ETCD, PREFLIGHT, NODE)),
    ],
    ids=["its-power", "power-of-another", "run-killed"],
)
def test_a_removal_that_is_cut_off_at_every_step_is_completed(
    lab: Lab, node: str, power: str, steps: Sequence[str]
) -> None:
    with Writes(lab) as writes:
        for step in steps:
            if not cut_off(lab, node, step, power):
                joins_again(lab)
                assert cut_off(lab, node, step, power)
        is_removed(lab, node, pyinfra(lab, *arguments(node), deploys=REMOVE))
        joins_again(lab)
    writes.longest_gap()
    # The kubeconfig here has the client certificate of the control plane that was asked.
    assert all("kubeconfig context" in each for each in changes(lab, deploys=CLUSTER))


@pytest.mark.parametrize(
    ("step", "power"),
    [(UNITS, ""), (LEFT_ETCD, "node1"), (LEFT_ETCD, ""), (IN_RESET, "node1"), (NODE, "")],
    ids=["drained", "left-etcd-power", "left-etcd-killed", "in-reset", "reset"],
)
def test_one_that_stays_in_the_inventory_joins_again(lab: Lab, step: str, power: str) -> None:
    """The first of the inventory."""
    with Writes(lab) as writes:
        assert cut_off(lab, "node1", step, power)
        joins_again(lab)
    writes.longest_gap()


def test_the_whole_cluster_is_deleted_while_one_is_off(lab: Lab) -> None:
    """It is reset when it is back; until then no other cluster is made."""
    confirmed = ("-y", "--data", "backup=no", "--data", "yes=bramble")
    lab.power_off("node3")
    run = pyinfra(lab, *confirmed, deploys=RESET)
    assert run.status != 0
    for name in ("node1", "node2", "node4"):
        assert run.counts(name)[2] == 0, run.output
        assert ok(lab.console(name, ["sh", "-c", f"{LEFT} || :"])) == "inactive"
    lab.power_on("node3")
    assert until(lambda: lab.ssh("node3", "true").returncode == 0, pause=1)
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status != 0
    assert "KUB079" in codes("\n".join(run.lines("node1"))), run.output
    run = pyinfra(lab, *confirmed, deploys=RESET)
    assert run.status == 0, run.output
    assert ok(lab.console("node3", ["sh", "-c", f"{LEFT} || :"])) == "inactive"
    joins_again(lab)
