"""Three control planes: their joins, the address that one holds, and the loss of one and of two."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from facts.etcd import ETCDCTL
from lab.api import Lab
from lab.waiting import until
from messages import codes
from tests.lab.clusters import all_are_ready, kubeconfig, kubectl, no_token_is_left
from tests.lab.executions import spare
from tests.lab.runs import CLUSTER, Run, interrupt, ok, pyinfra, snapshot
from tests.lab.verifying import Verified, verify
from tests.lab.writes import Writes

pytestmark = pytest.mark.timeout(2400)

NODES = ("node1", "node2", "node3")
INVENTORY = """control_plane = [
    (f"node{n}", {"address": f"192.168.2.1{n}"}) for n in (1, 2, 3)
]
workers = []
"""
ADDRESS = "192.168.2.10"
AWAY_S = 15  # the longest time without an answer when the node that holds the address fails
PARTLY_AWAY_S = 30  # when another one takes the address that then turns out to have no etcd

# Of make verify, the checks of etcd and of the address.
ABOUT_PLANES = ("-k", "test_control_planes")

# What the stand-in's kubelet starts for etcd. Where it can't, a member that is added never starts.
ETCD = "/usr/lib/stand-in/etcd/etcd"


@dataclass(frozen=True)
class Made:
    """Three control planes. The last one's power was cut in its join; the next run is `run`."""

    lab: Lab
    left: dict[str, str]
    run: Run


@pytest.fixture(scope="module")
def made(new_lab: Callable[..., Lab]) -> Iterator[Made]:
    lab = new_lab(
        "planes", INVENTORY, in_use=True, topology="router", control_plane_address=ADDRESS
    )
    lab.up()
    ok(lab.console("node3", ["chmod", "-x", ETCD]))
    interrupt(lab, CLUSTER, "[node3] kubeadm join: etcd", "node3")
    ok(lab.console("node3", ["chmod", "+x", ETCD]))
    # Its kubelet, which was started before the member was added, starts etcd by itself.
    assert until(lambda: "node3" in members(lab, "node1"), pause=1)
    yield Made(lab, members(lab, "node1"), pyinfra(lab, "-y", deploys=CLUSTER))
    lab.down()


def members(lab: Lab, asked: str) -> dict[str, str]:
    """The members of etcd by name, as a node knows them: voter or learner."""
    listed = lab.ssh(asked, f"sudo sh -c {shlex.quote(f'{ETCDCTL} etcdctl member list')}").stdout
    rows = [line.split(", ") for line in listed.splitlines()]
    return {row[2]: "learner" if row[-1] == "true" else "voter" for row in rows}


def holder(lab: Lab) -> str:
    """The node that has the address. On a busy machine it may be on its way to another one."""
    held = until(lambda: len(found := holders(lab)) == 1 and found)
    assert held, holders(lab)
    return held[0]


def holders(lab: Lab) -> list[str]:
    """The nodes that have the address; without those that are off."""
    show = ["ip", "-4", "-json", "address", "show", "to", ADDRESS]
    running = [state.plan.name for state in lab.status() if state.status.state == "running"]
    return [name for name in running if json.loads(ok(lab.console(name, show)))]


@pytest.mark.slow
def test_a_join_that_lost_its_power_is_completed_by_the_next_run(made: Made) -> None:
    assert made.left == {"node1": "voter", "node2": "voter", "node3": "learner"}
    assert made.run.status == 0, made.run.output
    for name in NODES:
        assert members(made.lab, name) == dict.fromkeys(NODES, "voter")
    all_are_ready(made.lab, *NODES)
    no_token_is_left(made.lab)
    certificates = ("-n", "kube-system", "get", "secret", "kubeadm-certs", "--ignore-not-found")
    assert kubectl(made.lab, *certificates) == ""


@pytest.mark.slow
def test_a_second_run_changes_nothing(made: Made) -> None:
    spare(made.lab, NODES, lambda: pyinfra(made.lab, "-y", deploys=CLUSTER))


@pytest.mark.slow
def test_one_control_plane_holds_the_address_and_the_api_answers_there(made: Made) -> None:
    assert holder(made.lab)
    servers = [
        each["cluster"]["server"]
        for each in yaml.safe_load(kubeconfig(made.lab).read_text())["clusters"]
    ]
    assert servers == [f"https://{ADDRESS}:6443"]
    assert kubectl(made.lab, "get", "--raw=/livez") == "ok"


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(1, marks=pytest.mark.slow),
        pytest.param(len(NODES), marks=pytest.mark.long),
    ],
)
def test_each_one_in_turn_loses_its_power(made: Made, tmp_path: Path, count: int) -> None:
    """
    The API is back within seconds, without a loss; make verify names it until it is back.

    + count: of those that do, the holder of the address first
    """
    lab, left = made.lab, set(NODES)
    with Writes(lab) as writes:
        while len(NODES) - len(left) < count:
            held = holder(lab)
            lost = held if held in left else min(left)
            left.remove(lost)
            written(writes)
            lab.power_off(lost)
            written(writes)
            assert holder(lab) != lost
            found = verify(lab, tmp_path / "lost.xml", *ABOUT_PLANES)
            lab.power_on(lost)
            is_named(found, "VER108", lost)
            is_whole(lab)
    assert writes.longest_gap() < AWAY_S
    back = verify(lab, tmp_path / "back.xml")
    assert back.status == 0, back.output


@pytest.mark.slow
def test_two_of_three_lose_their_power(made: Made, tmp_path: Path) -> None:
    """Nothing is changed until one of them is back; each command says what is wrong."""
    lab, stays = made.lab, "node3"
    with Writes(lab) as writes:
        written(writes)
        for name in ("node1", "node2"):
            lab.power_off(name)
        assert until(lambda: holders(lab) == [])
        before = snapshot(lab, stays)
        found = verify(lab, tmp_path / "two.xml", *ABOUT_PLANES)
        is_named(found, "KUB086", "node1, node2")
        run = pyinfra(lab, "-y", deploys=CLUSTER)
        assert run.status != 0
        assert snapshot(lab, stays) == before
        lab.power_on("node1")
        written(writes)
        found = verify(lab, tmp_path / "one.xml", *ABOUT_PLANES)
        is_named(found, "VER108", "node2")
        lab.power_on("node2")
        is_whole(lab)
        written(writes)
    writes.all_are_there()


@pytest.mark.slow
def test_the_one_that_holds_the_address_is_cut_off(made: Made, tmp_path: Path) -> None:
    """It gives the address up, which another one has taken; it does not get it back."""
    lab = made.lab
    cut = holder(lab)
    with Writes(lab) as writes:
        written(writes)
        lab.cut(cut)
        written(writes)
        found = verify(lab, tmp_path / "cut.xml", *ABOUT_PLANES)
        assert until(lambda: cut not in holders(lab))
        other = holder(lab)
        lab.mend(cut)
        is_named(found, "VER108", cut)
        is_whole(lab)
        assert holder(lab) == other
        written(writes)
    assert writes.longest_gap() < AWAY_S


@pytest.mark.long
def test_two_that_do_not_reach_each_other(made: Made, tmp_path: Path) -> None:
    """The second one takes the address too, until its API server turns out to be without etcd."""
    lab = made.lab
    first = holder(lab)
    second = min({*NODES} - {first})
    with Writes(lab) as writes:
        written(writes)
        before = taken(lab, second)
        between(lab, first, second, "-I")
        assert until(lambda: taken(lab, second) > before)
        written(writes)
        found = verify(lab, tmp_path / "partly.xml", *ABOUT_PLANES)
        between(lab, first, second, "-D")
        assert {"VER104", "VER108"} & {*codes(" ".join(found.failed.values()))}, found.output
        is_whole(lab)
        written(writes)
    assert writes.longest_gap() < PARTLY_AWAY_S


def taken(lab: Lab, node: str) -> int:
    """How often a node has taken the address."""
    log = ok(lab.console(node, ["journalctl", "-u", "keepalived", "-o", "cat", "--no-pager"]))
    return log.count("Entering MASTER STATE")


def between(lab: Lab, node: str, other: str, how: str) -> None:
    """Drop what a node and another one send to each other, or no longer."""
    address = str(lab.plan.node(other).address)
    for chain, side in (("INPUT", "-s"), ("OUTPUT", "-d")):
        ok(lab.console(node, ["iptables", how, chain, side, address, "-j", "DROP"]))


def is_named(found: Verified, code: str, nodes: str) -> None:
    """A check that failed names the nodes, with this code."""
    assert any(code in said and nodes in said for said in found.failed.values()), found.output


def is_whole(lab: Lab) -> None:
    """Wait until all nodes are Ready and members of etcd, and one has the address."""
    all_are_ready(lab, *NODES)
    whole = dict.fromkeys(NODES, "voter")
    assert until(lambda: all(members(lab, name) == whole for name in NODES), pause=1)
    assert holder(lab)


def written(writes: Writes) -> None:
    """Wait for some more writes."""
    before = len(writes.acknowledged)
    assert until(lambda: len(writes.acknowledged) > before + 5)
