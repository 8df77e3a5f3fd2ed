"""deploys/restore.py: the same cluster again, on a blank card and over damaged data of etcd."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from formats import age
from lab.api import Lab
from messages import codes
from messages.backups import NOT_DECRYPTED
from tests.lab.clusters import TWO_NODES, all_are_ready, kubeconfig, kubectl, nodes
from tests.lab.runs import (
    CLUSTER,
    Run,
    Watched,
    build,
    changes,
    differences,
    interrupt,
    ok,
    pyinfra,
    snapshot,
)
from tests.lab.verifying import verify

NODES = ("node1", "node2")
DEPLOY = ["deploys/restore.py"]
YES = ("--data", "yes=bramble")
PAUSE = "registry.k8s.io/pause:3.10.2"
FOLDER = "/var/lib/bramble/restore"
WAL = "/var/lib/etcd/member/wal/0000000000000000-0000000000000000.wal"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(new_lab: Callable[..., Lab]) -> Iterator[tuple[Lab, float]]:
    """A cluster, and the seconds that its control plane took."""
    made = new_lab("restore", TWO_NODES, in_use=True)
    yield made, build(made).seconds("node1")
    made.down()


@pytest.fixture(scope="module")
def lab(built: tuple[Lab, float]) -> Lab:
    """The cluster with objects of a person's, and a backup of it."""
    made, _ = built
    kubectl(made, "create", "deployment", "web", "--image", PAUSE, "--replicas=2")
    kubectl(made, "create", "secret", "generic", "key", "--from-literal=word=bramble")
    kubectl(made, "label", "node", "node2", "disk=ssd")
    kubectl(made, "rollout", "status", "deployment/web", "--timeout=120s")
    all_are_ready(made, *NODES)
    backup(made)
    return made


def backup(lab: Lab) -> Path:
    """Make a backup, and return it."""
    run = pyinfra(lab, "-y", deploys=["deploys/backup.py"])
    assert run.status == 0, run.output
    return backups(lab)[-1]


def backups(lab: Lab) -> list[Path]:
    return sorted((lab.project / ".cluster" / "backups").glob("*.tar"))


def restore(lab: Lab, *arguments: str) -> Run:
    return pyinfra(lab, "-y", *YES, *arguments, deploys=DEPLOY)


def objects(lab: Lab) -> dict[str, str]:
    """The UIDs of what a person has made in the cluster, by kind and name."""
    found = kubectl(lab, "get", "deployments,secrets,configmaps", "-o", "json")
    return {
        f"{each['kind']}/{each['metadata']['name']}": each["metadata"]["uid"]
        for each in json.loads(found)["items"]
    }


def kubelet_started(lab: Lab, node: str) -> str:
    """The process of a node's kubelet, and when it was started."""
    show = "systemctl show --property=MainPID,ExecMainStartTimestampMonotonic kubelet"
    return ok(lab.ssh(node, show))


def is_restored(lab: Lab, before: dict[str, str]) -> None:
    """Check that the cluster has all that it had, and that nothing of the restore is left."""
    all_are_ready(lab, *NODES)
    assert before.items() <= objects(lab).items()
    assert nodes(lab)["node2"]["metadata"]["labels"]["disk"] == "ssd"
    kubectl(lab, "rollout", "status", "deployment/web", "--timeout=120s")
    left = f"sudo ls -d {FOLDER} {FOLDER}.new /var/lib/etcd-restored 2>/dev/null || :"
    assert ok(lab.ssh("node1", left)) == ""


def is_refused(lab: Lab, code: str, *arguments: str) -> Run:
    """Check that a restore ends with this code, and changes nothing."""
    before, there = snapshot(lab, "node1"), objects(lab)
    run = restore(lab, *arguments)
    assert run.status != 0, run.output
    assert code in codes(run.output), run.output
    assert differences(before, snapshot(lab, "node1")) == []
    assert objects(lab) == there
    assert ok(lab.ssh("node1", f"sudo ls {FOLDER} 2>/dev/null || :")) == ""
    return run


def test_what_can_not_or_need_not_be_restored_is_refused(lab: Lab) -> None:
    run = is_refused(lab, "RES003")
    assert "--data healthy=replace" in run.output
    run = pyinfra(lab, "-y", "--data", "healthy=replace", deploys=DEPLOY)
    assert "RES004" in codes(run.output), run.output
    # A truncated archive, and one with a flipped bit.
    good = backups(lab)[-1].read_bytes()
    named = lab.project / "named.tar"
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    # And one that was encrypted with another passphrase than the file has.
    passphrase = lab.project / ".cluster" / "backup_key"
    passphrase.touch(mode=0o600)
    passphrase.write_text("another one\n")
    sealed = age.encrypt_with(good, "the one of that day")
    for content in (good[: len(good) // 2], flipped, sealed):
        named.write_bytes(content)
        run = is_refused(lab, "RES014", "--data", f"backup={named}")
    assert NOT_DECRYPTED().words in run.output
    passphrase.unlink()
    # A later minor's.
    is_refused(lab, "RES002", "--data", "healthy=replace", "--data", "kubernetes_version=1.35")
    # Another cluster's: by its name, and with the same names by its authority.
    is_refused(
        lab, "RES001", "--data", "kube_context=other", "--data", f"backup={backups(lab)[-1]}"
    )


def test_a_dry_run_says_what_is_lost_and_changes_nothing(lab: Lab) -> None:
    before = snapshot(lab)
    run = pyinfra(lab, "--dry", "--data", "healthy=replace", deploys=DEPLOY)
    assert run.status == 0, run.output
    assert re.search(rf"Backup {backups(lab)[-1].name}: taken .* UTC, \d+ min ago", run.output)
    assert "The data of etcd on node1 is replaced, and kept beside it" in run.output
    assert differences(before, snapshot(lab)) == []


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(f"truncate -s -200000 {WAL}", marks=pytest.mark.long),
        "truncate -s 50% /var/lib/etcd/member/snap/db",
        pytest.param("rm -rf /var/lib/etcd/member", marks=pytest.mark.long),
    ],
    ids=["wal", "db", "directory"],
)
def test_damaged_data_is_kept_and_replaced(lab: Lab, damage: str) -> None:
    before, kubelet = objects(lab), kubelet_started(lab, "node2")
    stop = (
        "systemctl stop kubelet; for c in etcd kube-apiserver; do ctr -n k8s.io containers ls -q "
        '"labels.\\"io.kubernetes.container.name\\"==$c,'
        'labels.\\"io.cri-containerd.kind\\"==container" | while read -r id; do '
        'ctr -n k8s.io tasks kill -s SIGKILL "$id"; done; done'
    )
    ok(lab.console("node1", ["sh", "-c", f"{stop}; {damage}; systemctl start kubelet"]))
    kept = set(ok(lab.ssh("node1", "sudo ls -d /var/lib/etcd-before-* 2>/dev/null || :")).split())
    run = restore(lab, "--data", "healthy=replace")
    assert run.status == 0, run.output
    is_restored(lab, before)
    now = set(ok(lab.ssh("node1", "sudo ls -d /var/lib/etcd-before-* 2>/dev/null || :")).split())
    assert len(now - kept) == 1
    assert (now - kept).pop() in run.output
    assert kubelet_started(lab, "node2") == kubelet


def test_on_a_blank_card_it_is_the_same_cluster(
    lab: Lab, built: tuple[Lab, float], tmp_path: Path
) -> None:
    before, kubelet, context = objects(lab), kubelet_started(lab, "node2"), kubeconfig(lab)
    mine = tmp_path / "kubeconfig"
    mine.write_bytes(context.read_bytes())
    kubectl(lab, "create", "deployment", "later", "--image", PAUSE)
    kubectl(lab, "rollout", "status", "deployment/later", "--timeout=120s")
    secret = ok(lab.ssh("node1", "sudo sed -n 2p /etc/kubernetes/pki/ca.key"))
    lab.fresh("node1")
    with Watched() as watched:
        run = restore(lab, "-vv", "--diff")
    assert run.status == 0, run.output
    # Within three minutes on a machine that makes the cluster in one.
    assert run.seconds("node1") < 3 * built[1]
    is_restored(lab, before)
    logs = [each.read_text() for each in (lab.project / ".cluster" / "logs").iterdir()]
    journal = ok(lab.ssh("node1", "sudo journalctl -b --no-pager"))
    assert "etcdutl" in "".join(watched.seen)
    assert [each for each in (run.output, journal, *logs, *watched.seen) if secret in each] == []
    assert "Deployment/later" not in objects(lab)
    assert re.search(r"default/later-\S+ on node2 \(RES007\)", run.output), run.output
    assert kubelet_started(lab, "node2") == kubelet
    copy = ["kubectl", f"--kubeconfig={mine}", "--context=bramble", "get", "nodes"]
    ok(lab.run(copy))
    assert changes(lab, deploys=CLUSTER) == []
    verified = verify(lab, tmp_path / "report.xml")
    assert verified.status == 0, verified.output


@pytest.mark.long
def test_interrupted_anywhere_the_next_run_completes(lab: Lab) -> None:
    before, there = objects(lab), backups(lab)
    lab.fresh("node1")
    interrupt(lab, DEPLOY, "Backup on the node", arguments=YES)
    interrupt(lab, DEPLOY, "the keys of the cluster are on the node", "node1", YES)
    interrupt(lab, DEPLOY, "the snapshot is restored", arguments=YES)
    # From here on nothing more is lost, and nobody is asked.
    interrupt(lab, DEPLOY, "kubeadm init: kubelet-start", "node1")
    interrupt(lab, DEPLOY, "kubeadm init: wait-control-plane")
    interrupt(lab, DEPLOY, "Nodes of the backup")
    run = pyinfra(lab, "-y", deploys=DEPLOY)
    assert run.status == 0, run.output
    is_restored(lab, before)
    # Over data that is there.
    for word, node in (
        ("Control plane", ""),
        ("the control plane is stopped", "node1"),
        ("the snapshot is restored", "node1"),
    ):
        interrupt(lab, DEPLOY, word, node, (*YES, "--data", "healthy=replace"))
    run = restore(lab, "--data", "healthy=replace")
    assert run.status == 0, run.output
    is_restored(lab, before)
    assert backups(lab) == there
    assert changes(lab, deploys=CLUSTER) == []


def test_nodes_that_have_come_or_gone_since_are_reconciled(lab: Lab) -> None:
    """node9 is in the backup, and is gone; node2 is not, and is there."""
    gone = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node9"}}
    create = ["sh", "-c", 'printf "%s" "$1" | kubectl --context=bramble create -f -', "sh"]
    ok(lab.run([*create, json.dumps(gone)]))
    kubectl(lab, "delete", "node", "node2")
    path = backup(lab)
    ok(lab.ssh("node2", "sudo systemctl restart kubelet"))
    kubectl(lab, "delete", "node", "node9")
    all_are_ready(lab, *NODES)
    kubectl(lab, "label", "node", "node2", "disk=ssd")
    kubelet = kubelet_started(lab, "node2")
    run = restore(lab, "--data", "healthy=replace", "--data", f"backup={path}")
    assert run.status == 0, run.output
    assert {"RES009", "RES010"} <= {*codes(run.output)}, run.output
    all_are_ready(lab, *NODES)
    assert kubelet_started(lab, "node2") != kubelet
    path.unlink()


@pytest.mark.long
def test_a_worker_s_new_card_takes_its_place_when_that_is_said(lab: Lab) -> None:
    former = nodes(lab)["node2"]["status"]["nodeInfo"]["machineID"]
    lab.fresh("node2")
    # The cluster has not noticed yet, however slow this machine is.
    alive = json.dumps({"spec": {"renewTime": "2099-01-01T00:00:00.000000Z"}})
    kubectl(lab, "-n", "kube-node-lease", "patch", "lease", "node2", "--type=merge", "-p", alive)
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status != 0
    assert "KUB071" in codes("\n".join(run.lines("node2"))), run.output
    assert former in run.output
    wrong = pyinfra(lab, "-y", "--data", "replace=node1", deploys=CLUSTER)
    assert "SET123" in codes(wrong.output), wrong.output
    run = pyinfra(lab, "-y", "--data", "replace=node2", deploys=CLUSTER)
    assert run.status == 0, run.output
    all_are_ready(lab, *NODES)
    assert nodes(lab)["node2"]["status"]["nodeInfo"]["machineID"] not in ("", former)
    assert changes(lab, deploys=CLUSTER) == []
