"""A cluster of the stand-in goes from one minor to the next, by hand as kubeadm's documents say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from lab import kubernetes
from lab.api import Lab
from lab.waiting import until
from tests.lab.clusters import all_are_ready, kubectl, nodes
from tests.lab.runs import CLUSTER, ok, pyinfra

INVENTORY = """
control_plane = [("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})]
workers = [("node2", {"address": "192.168.2.12"})]
"""
NEW = "v1.36.4"
INSTALL = "sudo apt-get install -qq -y --allow-change-held-packages"
NEXT_MINOR = (
    "sudo sed -i s/v1.35/v1.36/ /etc/apt/sources.list.d/*kubernetes* && sudo apt-get -qq update"
)
IGNORED = "--ignore-preflight-errors=SystemVerification"


@pytest.fixture(scope="module")
def older(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    """A cluster of 1.35, whose mirror also has the packages of 1.36."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_MIRROR", str(kubernetes.make_stand_in("1.35", "1.36")))
        lab = new_lab("minors", INVENTORY, kubernetes_version="1.35")
        lab.up()
        done = pyinfra(lab, "-y", deploys=CLUSTER)
        assert done.status == 0, done.output
        yield lab
        lab.down()


def versions(lab: Lab) -> dict[str, str]:
    """The kubelets' versions."""
    info = {name: one["status"]["nodeInfo"] for name, one in nodes(lab).items()}
    return {name: one["kubeletVersion"].partition("+")[0] for name, one in info.items()}


def served(lab: Lab) -> str:
    """The API server's version."""
    found = json.loads(kubectl(lab, "version", "-o", "json"))["serverVersion"]["gitVersion"]
    return str(found.partition("+")[0])


def not_running(lab: Lab) -> list[str]:
    """The pods that do not run."""
    pods = json.loads(kubectl(lab, "get", "pods", "-A", "-o", "json"))["items"]
    return [
        one["metadata"]["name"]
        for one in pods
        if one["status"]["phase"] != "Running" or "deletionTimestamp" in one["metadata"]
    ]


@pytest.mark.slow
def test_the_control_plane_then_the_kubelets(older: Lab) -> None:
    lab = older
    assert (served(lab), set(versions(lab).values())) == ("v1.35.6", {"v1.35.6"})
    for node in ("node1", "node2"):
        ok(lab.ssh(node, f"{NEXT_MINOR} && {INSTALL} kubeadm"))
    plan = json.loads(ok(lab.ssh("node1", f"sudo kubeadm upgrade plan {NEW} -o json")))
    components = plan["availableUpgrades"][0]["components"]
    assert [one["nodeName"] for one in components if one["name"] == "kubelet"] == ["node1", "node2"]

    said = ok(lab.ssh("node1", f"sudo kubeadm upgrade apply {NEW} -y {IGNORED}"))
    assert f'upgraded to "{NEW}"' in said
    assert served(lab) == NEW
    assert set(versions(lab).values()) == {"v1.35.6"}, "kubelets are upgraded by their packages"
    assert ok(lab.ssh("node1", f"sudo kubeadm upgrade plan {NEW} -o json")) == ""
    assert until(lambda: not not_running(lab)), not_running(lab)

    ok(lab.ssh("node2", f"sudo kubeadm upgrade node {IGNORED}"))
    for node in ("node1", "node2"):
        kubectl(lab, "drain", node, "--ignore-daemonsets", "--timeout=120s")
        ok(lab.ssh(node, f"{INSTALL} kubelet kubectl"))
        assert until(lambda node=node: versions(lab)[node] == NEW), versions(lab)  # type: ignore[misc]
        kubectl(lab, "uncordon", node)
    all_are_ready(lab, "node1", "node2")
    assert until(lambda: not not_running(lab)), not_running(lab)
