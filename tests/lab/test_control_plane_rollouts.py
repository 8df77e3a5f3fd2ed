"""Roll-outs over three control planes: one at a time, and the API server stays."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lab import kubernetes
from lab.api import Lab
from lab.waiting import until
from messages import codes
from tests.lab import executions
from tests.lab.aged import PKI, age, all_of_control_plane, days_left
from tests.lab.clusters import all_are_ready
from tests.lab.rollouts import (
    ask_for_reboot,
    blackout,
    boots,
    cordons,
    interrupted,
    notes,
    reboot,
    rebooted,
)
from tests.lab.runs import build, interrupt, ok, pyinfra
from tests.lab.test_upgrade import ask_for, kubelets
from tests.lab.writes import Writes

INVENTORY = """control_plane = [
    ("node1", {"address": "192.168.2.11"}),
    ("node2", {"address": "192.168.2.12"}),
    ("node3", {"address": "192.168.2.13"}),
]
workers = []
"""
NODES = ("node1", "node2", "node3")
SHARED = "192.168.2.10"
CERTIFICATES, UPGRADE = ["deploys/certificates.py"], ["deploys/upgrade.py"]
OLD, NEW = "1.35", "1.36.3"
YEAR = 360  # days, at least, of what was renewed
AWAY_S = 15  # for the API server, at most, when a board goes down

pytestmark = pytest.mark.long


@contextmanager
def older(new_lab: Callable[..., Lab], name: str) -> Iterator[Lab]:
    """A lab of three control planes that an upgrade is offered to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_MIRROR", str(kubernetes.make_stand_in("1.35", "1.36")))
        settings = {"kubernetes_version": OLD, "control_plane_address": SHARED}
        made = new_lab(name, INVENTORY, in_use=True, topology="router", **settings)
        build(made)
        yield made
        made.down()


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    with older(new_lab, "rolls") as made:
        yield made


def holders(lab: Lab) -> list[str]:
    """The nodes that have the address in common."""
    command = ["ip", "-o", "-4", "address", "show", "to", SHARED]
    return [name for name in NODES if ok(lab.console(name, command))]


def whole(lab: Lab) -> None:
    """Nothing of a roll-out is left, and one node has the address."""
    all_are_ready(lab, *NODES)
    assert (cordons(lab), notes(lab)) == ({}, {})
    assert len(holders(lab)) == 1


def test_nothing_to_do_costs_nothing(lab: Lab) -> None:
    executions.spare(lab, NODES, lambda: reboot(lab))
    whole(lab)


def test_a_member_of_etcd_that_does_not_answer_keeps_the_others_here(lab: Lab) -> None:
    """Its node is Ready: its own API server serves it."""
    ask_for_reboot(lab, "node1")
    before = boots(lab)
    block = ["iptables", "-I", "INPUT", "-i", "eth0", "-p", "tcp", "--dport", "2379", "-j", "DROP"]
    ok(lab.console("node3", block))
    run = reboot(lab)
    assert run.status != 0
    assert "ROL010" in codes(run.output), run.output
    block[1] = "-D"
    ok(lab.console("node3", block))
    assert rebooted(lab, before) == []
    whole(lab)


def test_the_api_server_stays_while_all_are_rebooted(lab: Lab) -> None:
    """The address moves away before its holder goes down, whose power then goes; all come back."""
    before, (first,) = boots(lab), holders(lab)
    at_reboot: list[str] = []

    def cut() -> None:
        at_reboot.extend(holders(lab))
        blackout(lab, first)()

    with Writes(lab) as writes:
        run = interrupted(lab, f"Reboot {first}", cut, "--data", "reboot=all")
        assert run.status == 0 or until(lambda: reboot(lab).status == 0, pause=1)
    assert rebooted(lab, before) == list(NODES)
    assert len(at_reboot) == 1
    assert at_reboot != [first]
    assert writes.longest_gap() < AWAY_S
    whole(lab)


def test_certificates_are_renewed_on_one_after_the_other(lab: Lab) -> None:
    soon = ["/etc/kubernetes/admin.conf", f"{PKI}/apiserver.crt", f"{PKI}/etcd/peer.crt"]
    for name in NODES:
        age(lab, name, 20, soon)
    with Writes(lab) as writes:
        run = pyinfra(lab, "-y", deploys=CERTIFICATES)
    assert run.status == 0, run.output
    for name in NODES:
        assert min(days_left(lab, name, file) for file in soon) >= YEAR
    assert writes.longest_gap() < AWAY_S
    executions.spare(lab, NODES, lambda: pyinfra(lab, "-y", deploys=CERTIFICATES))
    whole(lab)


def test_certificates_that_have_expired_everywhere_are_renewed(lab: Lab) -> None:
    """etcd has stopped: nobody is asked whether it does without a member."""
    for name in NODES:
        age(lab, name, -20, all_of_control_plane(lab, name))
    for name in NODES:
        ok(lab.console(name, ["systemctl", "restart", "kubelet", "stand-in-control-plane"]))
    assert until(lambda: not answers(lab), pause=1)
    run = pyinfra(lab, "-y", deploys=CERTIFICATES)
    assert run.status == 0, run.output
    for name in NODES:
        left = [days_left(lab, name, file) for file in all_of_control_plane(lab, name)]
        assert min(left) >= YEAR, name
    whole(lab)


def answers(lab: Lab) -> bool:
    """Whether an API server answers at the address."""
    asked = lab.run(["kubectl", "--context=bramble", "--request-timeout=5s", "get", "nodes"])
    return asked.returncode == 0


def test_an_upgrade_goes_over_all_of_them_also_after_a_power_cut(lab: Lab) -> None:
    ask_for(lab, NEW)
    with Writes(lab) as writes:
        interrupt(lab, UPGRADE, "kubeadm upgrade node: upgrade of", "node2")
        run = pyinfra(lab, "-y", deploys=UPGRADE)
    assert run.status == 0, run.output
    assert kubelets(lab) == dict.fromkeys(NODES, NEW)
    for name in NODES:
        images = ok(lab.ssh(name, "sudo grep -h image: /etc/kubernetes/manifests/kube-*.yaml"))
        assert re.findall(r":v([0-9.]+)", images) == [NEW] * 3, name
    assert writes.longest_gap() < AWAY_S
    executions.spare(lab, NODES, lambda: pyinfra(lab, "-y", deploys=UPGRADE))
    whole(lab)
