"""
A control plane's join is cut off at every step: by the power of the node that joins, by that of the
one that serves the join, and by the end of the run. The next run completes or undoes it, and other
nodes are not kept from joining meanwhile.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from facts.etcd import ETCDCTL
from lab.api import Lab
from lab.waiting import until
from messages import codes
from operations.kubeadm.certificate_key import NOTE
from tests.lab.clusters import all_are_ready, kubectl, no_token_is_left
from tests.lab.runs import CLUSTER, Run, build, changes, ok, pyinfra, start
from tests.lab.verifying import verify

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

NODES = ("node1", "node2", "node3")
JOINING = "node2"
INVENTORY = """control_plane = [
    (f"node{n}", {"address": f"192.168.2.1{n}"}) for n in (1, 2, 3)
]
workers = []
"""
ADDRESS = "192.168.2.10"

# What the stand-in's kubelet starts for etcd. Where it can't, a member that is added never starts.
ETCD = "/usr/lib/stand-in/etcd/etcd"
NAMESPACE = ("get", "namespace", "kube-system", "-o", "json")


@dataclass(frozen=True)
class Step:
    """
    + printed: what the run prints when it begins
    + member: what is waited for then: the kind of the node's member of etcd
    """

    printed: str
    member: str = ""

    def __str__(self) -> str:
        return self.member or self.printed.rpartition(": ")[2].replace(" ", "-")


PREFLIGHT = Step("kubeadm join: preflight")
LEARNER = Step("kubeadm join: etcd", "learner")
VOTER = Step("kubeadm join: etcd", "voter")
MARK = Step("kubeadm join: mark-control-plane")
# In their order; the token and the keys are made between the images and preflight.
BEFORE_VOTE = (
    Step("all images are on the node"),
    PREFLIGHT,
    Step("kubeadm join: download-certs"),
    Step("kubeadm join: certs"),
    Step("kubeadm join: kubeconfig"),
    Step("kubeadm join: control-plane"),
    Step("kubeadm join: check-etcd"),
    Step("kubeadm join: kubelet-start"),
    LEARNER,
)
AFTER_VOTE = (
    VOTER,
    MARK,
    # What takes a moment has a line when it is done, and no heading.
    Step("kubeconfig for pi"),
    Step("--> Pod network (flannel)"),
    Step("Nodes Ready"),
    Step("Node labels and taints"),
)


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    """Three control planes."""
    made = new_lab(
        "joincuts", INVENTORY, in_use=True, topology="router", control_plane_address=ADDRESS
    )
    build(made)
    yield made
    made.down()


def members(lab: Lab, asked: str = "node1") -> dict[str, str]:
    """The members of etcd by address, as a node knows them: voter or learner."""
    script = f"{ETCDCTL} etcdctl member list -w json"
    listed = lab.ssh(asked, f"sudo sh -c {shlex.quote(script)}")
    if listed.returncode:  # its etcd is starting, or elects a leader
        return {}
    return {
        each["peerURLs"][0].removeprefix("https://").partition(":")[0]: (
            "learner" if each.get("isLearner") else "voter"
        )
        for each in json.loads(listed.stdout)["members"]
    }


def address(node: str) -> str:
    return f"192.168.2.1{node[-1]}"


def voters(*nodes: str) -> dict[str, str]:
    return dict.fromkeys(map(address, nodes), "voter")


def leave(lab: Lab, *nodes: str) -> None:
    """Nodes are no control planes any more, but have all packages."""
    left = voters(*NODES)
    for node in nodes:
        del left[address(node)]
        ok(lab.console(node, ["kubeadm", "reset", "-f"]))
        assert until(lambda: members(lab) == left, pause=1)
        assert until(partial(deleted, lab, node), pause=1)


def deleted(lab: Lab, node: str) -> bool:
    """Whether its Node could be deleted: it may have held the address, which moves then."""
    command = ["kubectl", "--context=bramble", "delete", "node", node, "--ignore-not-found"]
    return lab.run(command).returncode == 0


def interrupted(lab: Lab, step: Step, power: str) -> str:
    """
    Begin a run, and cut it off at a step of the join; return what it has printed.

    + power: of which node: the one that joins is off until the run ends, another one comes back at
      once; "": the run itself is killed
    """
    if step.member == "learner":
        ok(lab.console(JOINING, ["chmod", "-x", ETCD]))
    run = start(lab, "-y", deploys=CLUSTER)
    assert run.stdout is not None
    lines = []
    for line in run.stdout:
        lines.append(line)
        if step.printed in line:
            break
    else:
        raise AssertionError("".join(lines))
    if step.member:
        assert until(lambda: members(lab).get(address(JOINING)) == step.member), "".join(lines)
    if power:
        lab.power_off(power)
    else:
        run.kill()
    if power == JOINING:
        lines.append(run.communicate()[0])
    if power:
        lab.power_on(power)
        assert until(lambda: lab.ssh(power, "true").returncode == 0, pause=1)
    if power != JOINING:
        lines.append(run.communicate()[0])
    ok(lab.console(JOINING, ["chmod", "+x", ETCD]))
    return "".join(lines)


def completed(lab: Lab) -> Run:
    """Run it without an interruption, after which nothing of any cut is left."""
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output
    for name in NODES:
        assert members(lab, name) == voters(*NODES)
    all_are_ready(lab, *NODES)
    no_token_is_left(lab)
    assert secrets(lab) == set()
    assert NOTE not in json.loads(kubectl(lab, *NAMESPACE))["metadata"].get("annotations", {})
    return run


def secrets(lab: Lab) -> set[str]:
    """Which of the two Secrets that a join needs are there."""
    names = kubectl(lab, "-n", "kube-system", "get", "secrets", "-o", "name").split()
    kinds = ("bootstrap-token", "kubeadm-certs")
    return {kind for kind in kinds if any(kind in name for name in names)}


def test_what_a_killed_run_leaves_is_named_and_deleted_by_the_next(
    lab: Lab, tmp_path: Path
) -> None:
    leave(lab, JOINING)
    interrupted(lab, PREFLIGHT, "")
    assert secrets(lab) == {"bootstrap-token", "kubeadm-certs"}
    found = verify(lab, tmp_path / "left.xml")
    for code in ("VER065", "VER111"):
        assert any(code in codes(said) for said in found.failed.values()), found.output
    run = completed(lab)
    assert run.output.count("left by an earlier run") == 2, run.output


@pytest.mark.parametrize("step", BEFORE_VOTE, ids=str)
def test_a_join_is_cut_off_before_it_has_a_vote(lab: Lab, step: Step) -> None:
    """By the power of its node; then, while it is joined anew, by the end of the run."""
    leave(lab, JOINING)
    interrupted(lab, step, JOINING)
    interrupted(lab, step, "")
    completed(lab)


@pytest.mark.parametrize("power", [JOINING, ""], ids=["power", "killed"])
@pytest.mark.parametrize("step", AFTER_VOTE, ids=str)
def test_a_join_is_cut_off_when_it_has_a_vote(lab: Lab, step: Step, power: str) -> None:
    leave(lab, JOINING)
    interrupted(lab, step, power)
    completed(lab)


@pytest.mark.parametrize("step", [PREFLIGHT, LEARNER, VOTER, MARK], ids=str)
def test_the_one_that_serves_the_join_loses_its_power(lab: Lab, step: Step) -> None:
    """With it etcd has lost its majority: of two voters, or of three of which one is new."""
    leave(lab, JOINING)
    interrupted(lab, step, "node1")
    completed(lab)


def test_the_second_one_is_lost_when_etcd_needs_it(lab: Lab) -> None:
    """Of two voters both are needed: nothing can be done until it is back."""
    leave(lab, "node3", JOINING)
    said = interrupted(lab, VOTER, JOINING)
    # By the join of node2, or by that of node3 where node2 was quicker than the cut.
    assert {"KUB073", "KUB076"} & {*codes(said)}, said
    completed(lab)


def test_what_one_join_has_left_does_not_keep_another_node_from_joining(lab: Lab) -> None:
    """etcd takes one learner at a time: node2's is removed before node3 joins."""
    leave(lab, "node3", JOINING)
    said = interrupted(lab, LEARNER, JOINING)
    assert members(lab) == voters("node1", "node3"), said
    completed(lab)


def test_a_voter_of_two_whose_kubelet_has_no_certificate_leaves_etcd_before_its_data_is_wiped(
    lab: Lab,
) -> None:
    """Cut off between promotion and TLS bootstrap, of two members: without it etcd has one vote."""
    leave(lab, "node3")
    ok(lab.console(JOINING, ["systemctl", "stop", "kubelet"]))
    ok(lab.console(JOINING, ["sh", "-c", "rm /var/lib/kubelet/pki/kubelet-client-*"]))
    kubectl(lab, "delete", "node", JOINING)
    assert members(lab) == voters("node1", JOINING)
    run = completed(lab)
    assert "an earlier join was cut off" in run.output, run.output


def test_a_further_run_changes_nothing(lab: Lab) -> None:
    assert changes(lab, deploys=CLUSTER) == []
