"""deploys/remove.py: a worker leaves the cluster, alive or dead, and nothing else changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.api import Lab
from lab.waiting import until
from messages import codes
from tests.lab.clusters import all_are_ready, kubectl, nodes
from tests.lab.runs import CLUSTER, build, differences, ok, pyinfra, snapshot, start

INVENTORY = """control_plane = [
    ("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})
]
workers = [("node2", {"address": "192.168.2.12"}), ("node3", {"address": "192.168.2.13"})]
"""
DEPLOY = ["deploys/remove.py"]
NODE3 = ["-y", "--data", "node=node3"]
LINE = "inventory.py line 4: workers = ["
PREPARED = [
    f"deploys/{name}.py" for name in ("ssh_access", "network", "prepare", "runtime", "packages")
]
CORDON = "bramble/cordon"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(new_lab: Callable[..., Lab]) -> Iterator[tuple[Lab, dict[str, set[str]]]]:
    """A lab whose nodes are prepared, and the state of node3 then."""
    lab = new_lab("remove", INVENTORY, in_use=True, drain_seconds=30)
    build(lab, PREPARED)
    yield lab, snapshot(lab, "node3")
    lab.down()


@pytest.fixture
def lab(made: tuple[Lab, dict[str, set[str]]]) -> Iterator[Lab]:
    """With the whole cluster, and nothing else in it."""
    lab, _ = made
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output
    all_are_ready(lab, "node1", "node2", "node3")
    yield lab
    for kind in ("pdb", "deployment", "pod"):
        kubectl(lab, "delete", kind, "--all", "--grace-period=0", "--force")


def workload(lab: Lab, kind: str, name: str, replicas: int = 1, node: str = "node3") -> None:
    """Pods on a node, of a Deployment or bare."""
    spec: dict[str, Any] = {
        "containers": [{"name": "c", "image": "registry.k8s.io/pause:3.10.2"}],
        "terminationGracePeriodSeconds": 1,
    }
    if node:
        spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    metadata = {"name": name, "namespace": "default", "labels": {"app": name}}
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    if kind == "Deployment":
        template = {"metadata": {"labels": {"app": name}}, "spec": spec}
        selector = {"matchLabels": {"app": name}}
        spec = {"replicas": replicas, "selector": selector, "template": template}
        made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
    text = json.dumps(made)
    create = ["sh", "-c", 'printf "%s" "$1" | kubectl --context=bramble apply -f -', "sh", text]
    ok(lab.run(create))
    assert until(lambda: len(running(lab, name)) == replicas)


def running(lab: Lab, name: str) -> list[str]:
    """The nodes of an app's pods that are Running."""
    found = json.loads(kubectl(lab, "get", "pods", "-l", f"app={name}", "-o", "json"))["items"]
    return [each["spec"]["nodeName"] for each in found if each["status"]["phase"] == "Running"]


def cordon(lab: Lab) -> tuple[bool, str]:
    """Whether node3 is cordoned, and bramble's note."""
    node = nodes(lab)["node3"]
    annotations = node["metadata"].get("annotations", {})
    return bool(node["spec"].get("unschedulable")), annotations.get(CORDON, "")


def is_gone(lab: Lab, made: tuple[Lab, dict[str, set[str]]]) -> None:
    """node3 is as it was prepared, the others are a cluster, and a second run changes nothing."""
    assert set(nodes(lab)) == {"node1", "node2"}
    all_are_ready(lab, "node1", "node2")
    assert differences(made[1], snapshot(lab, "node3")) == []
    assert changes_of(lab) == []


def network(lab: Lab) -> set[str]:
    """Addresses, routes and rules of node3, without those of Kubernetes."""
    kinds = ("address eth", "route default", "route 192.168.", "rule -A BRAMBLE")
    return {line for line in snapshot(lab, "node3")["node3"] if line.startswith(kinds)}


def changes_of(lab: Lab) -> list[str]:
    done = lab.run(["pyinfra", "inventory.py", *DEPLOY, *NODE3, "--json"])
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)["results"]["operations"]
    return [each["name"] for each in found if each["success"]]


def test_what_cannot_be_removed_is_refused(lab: Lab) -> None:
    workload(lab, "Pod", "solo")
    before = snapshot(lab, "node3")
    for options, code in (
        ([], "SET119"),
        (["--data", "node=node1"], "SET120"),
        (["--data", "node=node3", "--data", "packages=all"], "SET121"),
        (["--data", "node=node3"], "KUB063"),
        (["--data", "node=node3", "--limit", "node3"], "KUB069"),
    ):
        run = pyinfra(lab, "-y", *options, deploys=DEPLOY)
        assert run.status != 0
        assert code in codes(run.output), run.output
    assert cordon(lab) == (False, "")
    assert differences(before, snapshot(lab, "node3")) == []


def test_a_worker_is_drained_reset_and_deleted(
    lab: Lab, made: tuple[Lab, dict[str, set[str]]]
) -> None:
    workload(lab, "Deployment", "web", replicas=2, node="")
    before = snapshot(lab, "node3")
    dry = pyinfra(lab, "--dry", *NODE3[1:], deploys=DEPLOY)
    assert dry.status == 0, dry.output
    assert LINE in dry.output
    assert differences(before, snapshot(lab, "node3")) == []
    assert cordon(lab) == (False, "")
    run = pyinfra(lab, *NODE3, deploys=DEPLOY)
    assert run.status == 0, run.output
    assert f"remove {LINE}" in run.output
    is_gone(lab, made)
    assert until(lambda: running(lab, "web") == ["node2", "node2"])
    kubectl(lab, "delete", "deployment", "web")
    # And it joins again as a new one.
    assert pyinfra(lab, "-y", deploys=CLUSTER).status == 0
    all_are_ready(lab, "node1", "node2", "node3")


@pytest.mark.long
def test_a_drain_that_does_not_end_is_undone(lab: Lab) -> None:
    """Two pods that fit nowhere else, and a budget that asks for one of them."""
    workload(lab, "Deployment", "pinned", replicas=2)
    kubectl(lab, "create", "pdb", "keep", "--selector=app=pinned", "--min-available=1")
    try:
        run = pyinfra(lab, *NODE3, deploys=DEPLOY)
        assert run.status != 0
        assert codes("\n".join(run.lines("node1"))) == ["KUB065", "KUB066"], run.output
        assert "default/pinned-" in run.output
        assert "(keep)" in run.output
        assert cordon(lab) == (False, "")
        assert run.counts("node3")[0] == 0, run.output
        # Another's cordon stays as it is.
        kubectl(lab, "cordon", "node3")
        assert pyinfra(lab, *NODE3, deploys=DEPLOY).status != 0
        assert cordon(lab) == (True, "")
        kubectl(lab, "uncordon", "node3")
        # A budget that can never be met is named beforehand.
        one = '{"spec": {"replicas": 1}}'
        kubectl(lab, "patch", "deployment", "pinned", "--type=merge", "-p", one)
        assert until(lambda: len(running(lab, "pinned")) == 1)
        assert until(lambda: '"expectedPods": 1' in kubectl(lab, "get", "pdb", "-o", "json"))
        run = pyinfra(lab, *NODE3, deploys=DEPLOY)
        assert codes("\n".join(run.lines("node1"))) == ["KUB064"], run.output
        assert cordon(lab) == (False, "")
    finally:
        kubectl(lab, "delete", "pdb", "keep")
        kubectl(lab, "delete", "deployment", "pinned")


def test_a_run_that_is_killed_in_the_drain_is_continued(
    lab: Lab, made: tuple[Lab, dict[str, set[str]]]
) -> None:
    workload(lab, "Deployment", "pinned", replicas=2)
    kubectl(lab, "create", "pdb", "keep", "--selector=app=pinned", "--min-available=1")
    run = start(lab, *NODE3, deploys=DEPLOY)
    assert until(lambda: cordon(lab)[0])
    run.kill()
    run.communicate()
    assert until(lambda: lab.ssh("node1", "pgrep -f '[k]ubectl.* drain'").returncode != 0)
    cordoned, note = cordon(lab)
    assert cordoned
    assert "deploys/remove.py since 20" in note
    kubectl(lab, "delete", "pdb", "keep")
    again = pyinfra(lab, *NODE3, deploys=DEPLOY)
    assert again.status == 0, again.output
    kubectl(lab, "delete", "deployment", "pinned")
    is_gone(lab, made)


def test_the_power_goes_in_the_reset(lab: Lab, made: tuple[Lab, dict[str, set[str]]]) -> None:
    run = start(lab, *NODE3, deploys=DEPLOY)
    assert run.stdout is not None
    for line in run.stdout:
        if "[node3] kubeadm reset: " in line:
            break
    lab.power_off("node3")
    run.communicate()
    assert run.returncode != 0
    assert "node3" in nodes(lab)
    lab.power_on("node3")
    assert pyinfra(lab, *NODE3, deploys=DEPLOY).status == 0
    is_gone(lab, made)


def test_a_dead_worker_is_removed_from_the_cluster_alone(
    lab: Lab, made: tuple[Lab, dict[str, set[str]]]
) -> None:
    lab.power_off("node3")
    run = pyinfra(lab, *NODE3, deploys=DEPLOY)
    assert run.status != 0
    assert "KUB068" in codes(run.output), run.output
    assert "node3" in nodes(lab)
    run = pyinfra(lab, *NODE3, "--data", "yes=node3", deploys=DEPLOY)
    assert set(nodes(lab)) == {"node1", "node2"}, run.output
    assert run.counts("node1")[2] == 0, run.output
    # It comes back, its kubelet registers it again, and it is removed once more.
    lab.power_on("node3")
    assert until(lambda: "node3" in nodes(lab))
    assert pyinfra(lab, *NODE3, deploys=DEPLOY).status == 0
    is_gone(lab, made)


def test_packages_and_files_are_purged(lab: Lab) -> None:
    before = network(lab)
    run = pyinfra(lab, *NODE3, "--data", "packages=purge", deploys=DEPLOY)
    assert run.status == 0, run.output
    status = "dpkg-query -W -f '${Package} ${Status}\\n' kubelet kubeadm kubectl kubernetes-cni"
    assert "ok installed" not in lab.ssh("node3", status).stdout
    left = "ls /etc/apt/sources.list.d/kubernetes.sources /etc/modules-load.d/bramble.conf"
    assert lab.ssh("node3", left).stdout == ""
    recorded = json.loads(ok(lab.console("node3", ["cat", "/var/lib/bramble/record.json"])))
    kinds = {name.partition(" ")[0] for name in recorded["resources"]}
    assert {"interface", "key", "resolver"} <= kinds
    # It is still reached, and routed by the gateway.
    ok(lab.ssh("node3", "sudo apt-get update --error-on=any"))
    assert network(lab) == before
