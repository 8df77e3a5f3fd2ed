"""deploys/upgrade.py: refused, interrupted anywhere and continued, from one minor to the next."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from formats import backup
from formats import kubeconfig as kubeconfig_format
from lab import kubernetes
from lab.api import Lab
from lab.waiting import until
from messages import codes
from tests.lab import executions
from tests.lab.clusters import (
    TWO_NODES,
    all_are_ready,
    kubeconfig,
    kubectl,
    nodes,
)
from tests.lab.runs import (
    CLUSTER,
    Run,
    build,
    cut,
    differences,
    interrupt,
    ok,
    pyinfra,
    snapshot,
    start,
)
from tests.lab.verifying import verify

NODES = ("node1", "node2")
DEPLOY = ["deploys/upgrade.py"]
OLD, MIDDLE, NEW = "1.35.6", "1.36.3", "1.36.4"
PAUSE = "registry.k8s.io/pause:3.10.2"
BACKUPS = "/var/lib/bramble/backups"
CORDON = "bramble/cordon"
VERSIONED = ("kubelet", "kubeadm", "kubectl")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    """A cluster of 1.35, with a Deployment; the mirror has later minors too, and no registry."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_MIRROR", str(kubernetes.make_stand_in("1.35", "1.36", "1.37")))
        made = new_lab(
            "upgrade", TWO_NODES, in_use=True, kubernetes_version="1.35", drain_seconds=60
        )
        build(made)
        kubectl(made, "create", "deployment", "web", "--image", PAUSE)
        all_are_ready(made, *NODES)
        yield made
        made.down()


def ask_for(lab: Lab, version: str) -> None:
    """Set kubernetes_version in the lab's project."""
    file = lab.project / "group_data" / "all.py"
    line = f'kubernetes_version = "{version}"'
    file.write_text(re.sub(r"(?m)^kubernetes_version = .*$", line, file.read_text()))


def upgrade(lab: Lab, *arguments: str) -> Run:
    return pyinfra(lab, "-y", *arguments, deploys=DEPLOY)


def kubelets(lab: Lab) -> dict[str, str]:
    info = {name: one["status"]["nodeInfo"] for name, one in nodes(lab).items()}
    return {name: one["kubeletVersion"][1:].partition("+")[0] for name, one in info.items()}


def all_versions(lab: Lab) -> set[str]:
    """The versions of the parts that share one, on all nodes and in the cluster."""
    served = json.loads(kubectl(lab, "version", "-o", "json"))["serverVersion"]["gitVersion"]
    proxy = kubectl(lab, "-n", "kube-system", "get", "ds", "kube-proxy", "-o", "json")
    containers = json.loads(proxy)["spec"]["template"]["spec"]["containers"]
    found = {served[1:].partition("+")[0], containers[0]["image"].rpartition(":v")[2]}
    manifests = ok(lab.ssh("node1", "sudo grep -h image: /etc/kubernetes/manifests/kube-*.yaml"))
    found |= set(re.findall(r":v([0-9.]+)", manifests))
    query = f"dpkg-query -W -f '${{Version}} ' {' '.join(VERSIONED)}"
    for node in NODES:
        found |= {one.partition("-")[0] for one in ok(lab.ssh(node, query)).split()}
    config = ok(lab.ssh("node1", "sudo grep kubernetesVersion /etc/kubernetes/kubeadm-config.yaml"))
    return found | set(kubelets(lab).values()) | {config.rpartition("v")[2]}


def backups(lab: Lab) -> list[str]:
    there = ok(lab.ssh("node1", f"sudo ls {BACKUPS} 2>/dev/null || :")).split()
    return [name for name in there if name.endswith(".tar")]


def is_at(lab: Lab, version: str) -> None:
    """Check that the whole cluster is at a version, held, schedulable and well."""
    all_are_ready(lab, *NODES)
    assert all_versions(lab) == {version}
    for node in NODES:
        held = ok(lab.ssh(node, "apt-mark showhold")).split()
        assert {*VERSIONED, "kubernetes-cni"} <= {*held}, node
        described = nodes(lab)[node]
        assert not described["spec"].get("unschedulable"), node
        assert CORDON not in described["metadata"].get("annotations", {})
    rollout = ("rollout", "status", "--timeout=120s")
    kubectl(lab, *rollout, "deployment/web")
    kubectl(lab, "-n", "kube-system", *rollout, "deployment/coredns")


def is_refused(lab: Lab, code: str, *words: str) -> None:
    """Check that an upgrade ends with this code, and changes nothing."""
    before, old = snapshot(lab), all_versions(lab)
    run = upgrade(lab)
    assert run.status != 0, run.output
    assert code in codes(run.output), run.output
    assert [word for word in words if word not in run.output] == []
    assert differences(before, snapshot(lab)) == []
    assert all_versions(lab) == old
    assert backups(lab) == []


def cut_off(lab: Lab, word: str, node: str = "") -> None:
    """Interrupt an upgrade when it has printed this: a node's power goes, or the run's own."""
    interrupt(lab, DEPLOY, word, node)


def cut_off_in_dpkg(lab: Lab, node: str) -> None:
    """Cut a node's power while apt's dpkg works there."""
    run = start(lab, "-y", deploys=DEPLOY)
    at_work = ["pgrep", "-f", "dpkg .*--status-fd"]
    assert until(lambda: lab.console(node, at_work).returncode == 0 or run.poll() is not None)
    cut(lab, run, node)


def test_the_other_deploys_upgrade_nothing_and_name_the_command(lab: Lab) -> None:
    before = snapshot(lab)
    ask_for(lab, MIDDLE)
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status != 0
    assert "KUB051" in codes(run.output), run.output
    assert "pyinfra inventory.py deploys/upgrade.py" in run.output
    assert differences(before, snapshot(lab)) == []


def test_what_can_not_succeed_is_refused_with_the_way_on(lab: Lab) -> None:
    ask_for(lab, "1.37")
    is_refused(lab, "UPG003", "1.35 → 1.36 → 1.37", 'kubernetes_version = "1.36"')
    ask_for(lab, "1.34")
    is_refused(lab, "UPG004", OLD)
    ask_for(lab, "1.36.9")
    is_refused(lab, "KUB053", NEW)
    ask_for(lab, MIDDLE)
    lab.run(["kubectl", "--context=bramble", "get", "--raw", "/apis/a.example/v1beta1/rules"])
    is_refused(lab, "UPG006", "rules of a.example/v1beta1 (removed in 1.36)")
    ok(lab.ssh("node1", "sudo systemctl restart stand-in-control-plane"))
    all_are_ready(lab, *NODES)


def test_a_full_disk_ends_it_before_the_first_change(lab: Lab) -> None:
    ask_for(lab, MIDDLE)
    mount = f"sudo mount -t tmpfs -o size=8k tmpfs {BACKUPS}"
    ok(lab.ssh("node1", f"sudo mkdir -p -m 700 {BACKUPS} && {mount}"))
    try:
        run = upgrade(lab)
        assert run.status != 0
        assert "BAK010" in codes(run.output), run.output
        assert all_versions(lab) == {OLD}
        assert backups(lab) == []
    finally:
        ok(lab.ssh("node1", f"sudo umount {BACKUPS} && sudo rmdir {BACKUPS}"))


def test_a_worker_that_is_down_ends_it_before_the_first_change(lab: Lab) -> None:
    ask_for(lab, MIDDLE)
    lab.power_off("node2")
    try:
        before = snapshot(lab, "node1")
        run = upgrade(lab)
        assert run.status != 0
        assert "ROL003" in codes(run.output), run.output
        assert differences(before, snapshot(lab, "node1")) == []
    finally:
        lab.power_on("node2")
    all_are_ready(lab, *NODES)


def test_a_dry_run_shows_all_of_it_and_changes_nothing(lab: Lab) -> None:
    ask_for(lab, MIDDLE)
    before = snapshot(lab)
    run = pyinfra(lab, "--dry", "--diff", deploys=DEPLOY)
    assert run.status == 0, run.output
    for line in (
        f"1. node1: control plane {OLD} → {MIDDLE}; kubelet {OLD} → {MIDDLE}",
        f"2. node2: kubelet {OLD} → {MIDDLE}",
        f"Will back up the cluster to {lab.project}/.cluster/backups",
        f"Will upgrade kubeadm to {MIDDLE}",
        f"Will upgrade the control plane from {OLD} to {MIDDLE}",
        "Will cordon node2, and evict its pods",
        f"Will restart the kubelet, and wait until {MIDDLE} runs",
    ):
        assert line in run.output, run.output
    assert differences(before, snapshot(lab)) == []
    assert all_versions(lab) == {OLD}


def test_from_one_minor_to_the_next(lab: Lab, tmp_path: Path) -> None:
    ask_for(lab, MIDDLE)
    run = upgrade(lab)
    assert run.status == 0, run.output
    is_at(lab, MIDDLE)
    for line in (r"etcd +node1 +3\.6\.6-0 → 3\.6\.8-0", rf"kubelet +{MIDDLE} +{MIDDLE}"):
        assert re.search(line, run.output), run.output
    (taken,) = backups(lab)
    here = lab.project / ".cluster/backups" / taken
    assert f".cluster/backups/{taken}" in run.output
    with here.open("rb") as file:
        assert str(backup.verify(file).kubernetes) == OLD
    # The renewed certificate of the administrator, in all copies.
    local = kubeconfig_format.parse(kubeconfig(lab).read_text())
    admin = kubeconfig_format.parse(ok(lab.ssh("node1", "sudo cat /etc/kubernetes/admin.conf")))
    (user,) = (each["user"] for each in local["users"] if each["name"] == "bramble")
    assert user == admin["users"][0]["user"]
    ok(lab.ssh("node1", "kubectl get nodes"))
    verified = verify(lab, tmp_path / "report.xml")
    assert verified.status == 0, verified.output


def test_nothing_left_to_do_costs_nothing(lab: Lab) -> None:
    before = snapshot(lab)
    executions.spare(lab, NODES, lambda: upgrade(lab))
    assert differences(before, snapshot(lab)) == []
    assert len(backups(lab)) == 1
    cluster = pyinfra(lab, "-y", deploys=CLUSTER)
    assert cluster.status == 0, cluster.output


@pytest.mark.long
def test_interrupted_anywhere_it_is_continued_from_another_computer(
    lab: Lab, tmp_path: Path
) -> None:
    before = kubelets(lab)
    ask_for(lab, NEW)
    # The power of the control plane goes while its parts are replaced.
    cut_off(lab, "upgrade of kube-apiserver", "node1")
    # A run of another checkout dies while kubeadm goes on; the next one follows it.
    other = Lab(shutil.copytree(lab.project, tmp_path / "project", symlinks=True), lab.name)
    cut_off(other, "kubeadm upgrade apply: upgrade of")
    # Between the nodes; then a worker's power goes while dpkg works, its cordon is left.
    cut_off(other, "Drain node2")
    assert kubelets(lab)["node1"] == NEW
    # Without the control plane nothing is upgraded; with it alone the worker is for later.
    alone = upgrade(other, "--limit", "node2")
    assert codes(alone.output) == ["UPG013"], alone.output
    limited = upgrade(other, "--limit", "node1")
    assert limited.status == 0, limited.output
    assert kubelets(lab) == before | {"node1": NEW}
    cut_off_in_dpkg(lab, "node2")
    last = upgrade(other)
    assert last.status == 0, last.output
    is_at(lab, NEW)
    again = upgrade(lab)
    assert all(again.left_alone(node) for node in NODES), again.output


def test_a_downgrade_is_refused(lab: Lab) -> None:
    kept, (now,) = backups(lab), all_versions(lab)
    ask_for(lab, OLD)
    run = upgrade(lab)
    assert run.status != 0
    assert "UPG004" in codes(run.output), run.output
    assert all_versions(lab) == {now}
    assert backups(lab) == kept
