"""
The power of a control plane fails again and again while it is upgraded; the next run goes on there.

One upgrade is cut off over and over: each run continues the one before, up to the next step.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import pytest

from facts.keepalived import PATH as KEEPALIVED
from facts.kubeadm import UPGRADING
from formats import kubeconfig as kubeconfig_format
from lab.api import Lab
from lab.waiting import until
from tests.lab import executions
from tests.lab.clusters import all_are_ready, kubeconfig
from tests.lab.runs import ok, pyinfra, start
from tests.lab.test_control_plane_changes import members, voters
from tests.lab.test_control_plane_rollouts import AWAY_S, NODES, UPGRADE, older, whole
from tests.lab.test_upgrade import ask_for, kubelets
from tests.lab.writes import Writes

NEW = "1.36.3"
ADMINS = "/etc/kubernetes/admin.conf /home/pi/.kube/config"
MANIFESTS = "/etc/kubernetes/manifests"
KUBELET = "/var/lib/kubelet/config.yaml"
AGED = "# of an earlier kubeadm"

# What a run prints when a step begins, in this order, and the node whose power goes then.
APPLY, FURTHER = "kubeadm upgrade apply", "kubeadm upgrade node"
CUTS = {
    "--> Backup": "node1",
    "--> kubeadm package": "node1",
    "--> Control plane node1": "node1",
    f"{APPLY}: upgrade of etcd": "node1",
    f"{APPLY}: upgrade of kube-scheduler": "node1",
    f"{FURTHER}: upgrade of kube-apiserver": "node2",
    f"{FURTHER}: upgrade/kubelet-config": "node2",
}
# The static pods whose manifests such a cut costs: kubeadm does not sync what it has written.
LOST = {
    f"{APPLY}: upgrade of etcd": "etcd",
    f"{FURTHER}: upgrade of kube-apiserver": "kube-apiserver",
}
# Without kubeadm's copy it has not been replaced yet. Prints what it removes.
LOSE = f"""for f in /etc/kubernetes/tmp/kubeadm-backup-manifests-*/"$1.yaml"; do
[ ! -e "$f" ] || rm -fv {MANIFESTS}/"$1.yaml"; done"""

pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    with older(new_lab, "upgrade-cuts") as made:
        yield made


def answers(lab: Lab, node: str) -> bool:
    return lab.ssh(node, "true").returncode == 0


def cut_off(lab: Lab, cuts: Mapping[str, str]) -> tuple[list[str], str]:
    """
    Run upgrades until one is not cut off, which has to succeed; return what was cut off, and what
    `LOSE` has printed.

    + cuts: for each text, in the order in which runs print them, the node whose power goes, and
      comes back at once; what is done by then is not printed any more
    """
    left, done, lost = list(cuts), [], ""
    while True:
        run, lines, was_cut = start(lab, "-y", deploys=UPGRADE), [], False
        assert run.stdout is not None
        for line in run.stdout:
            lines.append(line)
            word = next((each for each in left if line.rstrip().endswith(each)), None)
            if word is not None:
                was_cut = True
                left = left[left.index(word) + 1 :]
                done.append(word)
                lab.power_off(cuts[word])
                lab.power_on(cuts[word])
                if word in LOST:
                    lost += ok(lab.console(cuts[word], ["sh", "-c", LOSE, "sh", LOST[word]]))
        if run.wait() == 0 and not was_cut:
            return done, lost
        assert was_cut, "".join(lines)
        for name in NODES:
            assert until(partial(answers, lab, name), pause=1)
        all_are_ready(lab, *NODES)  # a roll-out begins only then


def configured(lab: Lab) -> dict[str, str]:
    """The configuration of keepalived on each node."""
    return {name: ok(lab.console(name, ["cat", KEEPALIVED])) for name in NODES}


def test_the_power_of_the_node_that_is_upgraded_fails_again_and_again(lab: Lab) -> None:
    """Also where the cut costs what kubeadm has just written, and after its last static pod."""
    ask_for(lab, NEW)
    keepalived = configured(lab)
    for name in NODES:
        ok(lab.console(name, ["sh", "-c", f"echo '{AGED}' >> {KUBELET}"]))
    with Writes(lab) as writes:
        done, lost = cut_off(lab, CUTS)
    assert [word for word in CUTS if word.startswith("-->") and word not in done] == []
    assert f"{MANIFESTS}/" in lost, done
    assert writes.longest_gap() <= AWAY_S
    assert configured(lab) == keepalived
    is_at(lab, NEW)


def is_at(lab: Lab, version: str) -> None:
    """The cluster is whole, all is at a version, and a further run changes nothing."""
    assert kubelets(lab) == dict.fromkeys(NODES, version)
    for name in NODES:
        images = ok(lab.ssh(name, f"sudo grep -h image: {MANIFESTS}/kube-*.yaml"))
        assert re.findall(r":v([0-9.]+)", images) == [version] * 3, name
        assert ok(lab.console(name, ["find", MANIFESTS, "-name", ".*.yaml"])) == "", name
        assert AGED not in ok(lab.console(name, ["cat", KUBELET])), name
        assert lab.console(name, ["test", "-e", UPGRADING]).returncode == 1, name
        ok(lab.ssh(name, f"sudo grep -h client-c {ADMINS} | sort -u | wc -l | grep -qx 1"))
    whole(lab)
    assert members(lab, "node1") == voters(*NODES)
    local = kubeconfig_format.parse(kubeconfig(lab).read_text())
    admin = kubeconfig_format.parse(ok(lab.ssh("node1", "sudo cat /etc/kubernetes/admin.conf")))
    (user,) = (each["user"] for each in local["users"] if each["name"] == "bramble")
    assert user == admin["users"][0]["user"]
    executions.spare(lab, NODES, lambda: pyinfra(lab, "-y", deploys=UPGRADE))
