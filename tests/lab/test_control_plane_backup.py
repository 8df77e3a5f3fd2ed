"""Several control planes: one is backed up, one is restored, and the others join it anew."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from facts.etcd import ETCDCTL
from lab.api import Lab
from lab.waiting import until
from messages import codes
from tests.lab.clusters import all_are_ready, kubectl
from tests.lab.runs import CLUSTER, Run, build, changes, interrupt, ok, pyinfra
from tests.lab.verifying import verify
from workstation import backups

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

PLANES = ("node1", "node2", "node3")
NODES = (*PLANES, "node4")
INVENTORY = """control_plane = [
    (f"node{n}", {"address": f"192.168.2.1{n}"}) for n in (1, 2, 3)
]
workers = [("node4", {"address": "192.168.2.14"})]
"""
ADDRESS = "192.168.2.10"
PAUSE = "registry.k8s.io/pause:3.10.2"
BACKUP, RESTORE = ["deploys/backup.py"], ["deploys/restore.py"]
YES = ("--data", "yes=bramble", "--data", "healthy=replace")
OWN, COPIES = "/var/lib/bramble/backups", "/var/lib/bramble-backups"


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    """A cluster that is backed up every night, with copies on its worker."""
    schedule = {"backup_schedule": "daily 03:00", "backup_to": "node4"}
    made = new_lab(
        "saved",
        INVENTORY,
        in_use=True,
        topology="router",
        control_plane_address=ADDRESS,
        **schedule,
    )
    build(made)
    kubectl(made, "create", "deployment", "web", "--image", PAUSE, "--replicas=2")
    kubectl(made, "rollout", "status", "deployment/web", "--timeout=300s")
    yield made
    made.down()


def kept(lab: Lab, node: str, folder: str = OWN) -> list[str]:
    names = ok(lab.ssh(node, f"sudo ls {folder} 2>/dev/null || :")).split()
    return [name for name in names if name.endswith("Z.tar")]


def back_up(lab: Lab) -> tuple[Run, str]:
    """Make a backup; return the run, and the control plane that the backup is of."""
    run = pyinfra(lab, "-y", deploys=BACKUP)
    newest = backups.listed(lab.project / ".cluster/backups")[0]
    assert newest.manifest is not None, run.output
    return run, newest.manifest.node


def members(lab: Lab, asked: str) -> dict[str, str]:
    """The members of etcd by name, as a node knows them: voter or learner."""
    listed = lab.ssh(asked, f"sudo sh -c {shlex.quote(f'{ETCDCTL} etcdctl member list')}").stdout
    rows = [line.split(", ") for line in listed.splitlines()]
    return {row[2]: "learner" if row[-1] == "true" else "voter" for row in rows}


def cluster_id(lab: Lab, asked: str) -> int:
    """The ID by which members of etcd know their own cluster."""
    command = shlex.quote(f"{ETCDCTL} etcdctl member list -w json")
    header = json.loads(ok(lab.ssh(asked, f"sudo sh -c {command}")))["header"]
    return int(header["cluster_id"])


def holders(lab: Lab) -> list[str]:
    """The control planes that have the address in common."""
    command = ["ip", "-o", "-4", "address", "show", "to", ADDRESS]
    return [name for name in PLANES if ok(lab.console(name, command))]


def work(lab: Lab) -> tuple[str, str]:
    """The kubelet of the worker, and the pods that it runs."""
    show = "systemctl show --property=MainPID,ExecMainStartTimestampMonotonic kubelet"
    pods = json.loads(kubectl(lab, "get", "pods", "-l", "app=web", "-o", "json"))["items"]
    about = sorted((pod["metadata"]["uid"], pod["status"]["startTime"]) for pod in pods)
    return ok(lab.ssh("node4", show)), repr(about)


def is_whole(lab: Lab, report: Path) -> None:
    """Check that all control planes are one cluster again, and that nothing is left to do."""
    all_are_ready(lab, *NODES)
    for name in PLANES:
        assert members(lab, name) == dict.fromkeys(PLANES, "voter")
    assert len(holders(lab)) == 1
    verified = verify(lab, report)
    assert verified.status == 0, verified.output
    assert changes(lab, deploys=CLUSTER) == []
    left = "sudo ls -d /var/lib/bramble/restore* /var/lib/etcd-restored 2>/dev/null || :"
    assert [ok(lab.ssh(name, left)) for name in PLANES] == ["", "", ""]


def test_one_control_plane_makes_each_scheduled_backup(lab: Lab) -> None:
    (made,) = kept(lab, "node1")
    assert kept(lab, "node4", COPIES) == [made]
    for name in ("node2", "node3"):
        assert ok(lab.ssh(name, "systemctl is-active bramble-backup.timer")) == "active"
        ok(lab.ssh(name, "sudo systemctl start bramble-backup.service"))
        assert kept(lab, name) == []
    ok(lab.ssh("node1", "sudo systemctl start bramble-backup.service"))
    assert len(kept(lab, "node1")) == len(kept(lab, "node4", COPIES)) == 2
    run, node = back_up(lab)
    assert (run.status, node) == (0, "node1"), run.output


def test_another_one_is_backed_up_while_the_first_is_away(lab: Lab) -> None:
    lab.power_off("node1")
    run, node = back_up(lab)
    assert node == "node2", run.output
    lab.power_on("node1")
    all_are_ready(lab, *NODES)


def test_a_cut_restore_goes_on_until_all_have_joined_anew(lab: Lab, tmp_path: Path) -> None:
    before, former = work(lab), cluster_id(lab, "node2")
    kubectl(lab, "create", "configmap", "later")
    refused = pyinfra(lab, "-y", "--data", "yes=bramble", deploys=RESTORE)
    assert refused.status != 0
    assert "RES003" in codes(refused.output), refused.output
    assert members(lab, "node2") == dict.fromkeys(PLANES, "voter")
    # The backup is of node2: what is restored is node1 all the same.
    interrupt(lab, RESTORE, "the snapshot is restored", "node1", YES)
    # While that board is off, no other one is restored beside it.
    lab.power_off("node1")
    elsewhere = pyinfra(lab, "-y", "--data", "yes=bramble", deploys=RESTORE)
    assert "RES019" in codes(elsewhere.output), elsewhere.output
    lab.power_on("node1")
    assert until(lambda: lab.ssh("node1", "true").returncode == 0, pause=1)
    # Nobody is asked again. When the run ends, all that is left is this join.
    interrupt(lab, RESTORE, "[node2] kubeadm join: certs", "node2")
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output
    is_whole(lab, tmp_path / "report.xml")
    # A member that comes back with the former data can't take part.
    assert cluster_id(lab, "node1") != former
    assert "configmap/later" not in kubectl(lab, "get", "configmaps", "-o", "name").split()
    assert work(lab) == before
    for name in PLANES:
        ok(lab.ssh(name, "sudo sh -c 'ls -d /var/lib/etcd-before-*/member'"))


def test_two_of_three_cards_die_and_nothing_is_lost(lab: Lab, tmp_path: Path) -> None:
    kubectl(lab, "create", "configmap", "precious")
    before = work(lab)
    for name in ("node1", "node2"):
        lab.fresh(name)
    assert until(lambda: lab.ssh("node2", "true").returncode == 0, pause=1)
    run, node = back_up(lab)
    assert node == "node3", run.output
    run = pyinfra(lab, "-y", "--data", "yes=bramble", deploys=RESTORE)
    assert run.status == 0, run.output
    assert re.search(r"\[node1\] kubeadm init: addons", run.output), run.output
    is_whole(lab, tmp_path / "report.xml")
    assert "configmap/precious" in kubectl(lab, "get", "configmaps", "-o", "name").split()
    assert work(lab) == before
