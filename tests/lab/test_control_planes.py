"""Three control planes: their joins, the address that one of them holds, and the loss of one."""

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
from tests.lab.clusters import all_are_ready, kubeconfig, kubectl, no_token_is_left
from tests.lab.executions import spare
from tests.lab.runs import CLUSTER, Run, interrupt, ok, pyinfra
from tests.lab.verifying import verify
from tests.lab.writes import Writes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

NODES = ("node1", "node2", "node3")
INVENTORY = """control_plane = [
    (f"node{n}", {"address": f"192.168.2.1{n}"}) for n in (1, 2, 3)
]
workers = []
"""
ADDRESS = "192.168.2.10"
AWAY_S = 15  # the longest time without an answer when the node that holds the address fails

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
    lab = new_lab("planes", INVENTORY, topology="router", control_plane_address=ADDRESS)
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


def test_a_join_that_lost_its_power_is_completed_by_the_next_run(made: Made) -> None:
    assert made.left == {"node1": "voter", "node2": "voter", "node3": "learner"}
    assert made.run.status == 0, made.run.output
    for name in NODES:
        assert members(made.lab, name) == dict.fromkeys(NODES, "voter")
    all_are_ready(made.lab, *NODES)
    no_token_is_left(made.lab)
    certificates = ("-n", "kube-system", "get", "secret", "kubeadm-certs", "--ignore-not-found")
    assert kubectl(made.lab, *certificates) == ""


def test_a_second_run_changes_nothing(made: Made) -> None:
    spare(made.lab, NODES, lambda: pyinfra(made.lab, "-y", deploys=CLUSTER))


def test_one_control_plane_holds_the_address_and_the_api_answers_there(made: Made) -> None:
    assert holder(made.lab)
    servers = [
        each["cluster"]["server"]
        for each in yaml.safe_load(kubeconfig(made.lab).read_text())["clusters"]
    ]
    assert servers == [f"https://{ADDRESS}:6443"]
    assert kubectl(made.lab, "get", "--raw=/livez") == "ok"


def test_the_loss_of_the_one_that_holds_the_address(made: Made, tmp_path: Path) -> None:
    """The API is back within seconds, without a loss; make verify names it until it is back."""
    lab = made.lab
    lost = holder(lab)
    with Writes(lab) as writes:
        written(writes)
        lab.power_off(lost)
        written(writes)
        other = holder(lab)
        assert other != lost
        found = verify(lab, tmp_path / "lost.xml")
        lab.power_on(lost)
        assert until(lambda: lost in members(lab, lost), pause=1)
        all_are_ready(lab, *NODES)
        written(writes)
    assert writes.longest_gap() < AWAY_S
    assert any("VER108" in said and lost in said for said in found.failed.values()), found.output
    back = verify(lab, tmp_path / "back.xml")
    assert back.status == 0, back.output
    assert holder(lab)
    assert members(lab, other) == dict.fromkeys(NODES, "voter")


def written(writes: Writes) -> None:
    """Wait for some more writes."""
    before = len(writes.acknowledged)
    assert until(lambda: len(writes.acknowledged) > before + 5)
