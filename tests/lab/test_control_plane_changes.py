"""
Control planes come and go: one to three, a new SD card, a dead and a healthy one removed, and the
whole cluster. A client makes objects all the time, and none that was acknowledged is lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from shlex import quote
from typing import Any

import pytest
import yaml

from facts.etcd import ETCDCTL
from lab.api import Lab
from lab.waiting import until
from messages import codes
from tests.lab.clusters import all_are_ready, kubeconfig, kubectl, nodes
from tests.lab.runs import CLUSTER, Run, changes, ok, pyinfra
from tests.lab.writes import Writes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

ADDRESS = "192.168.2.10"
REMOVE, RESET = ["deploys/remove.py"], ["deploys/reset.py"]
NODES = ("node1", "node2", "node3")
PLANES = [(name, {"address": f"192.168.2.1{name[-1]}"}) for name in NODES]
WORKERS = [("node4", {"address": "192.168.2.14"})]
# Of a control plane, what keepalived and a cluster leave.
LEFT = """ls -d /etc/keepalived/keepalived.conf /etc/kubernetes/pki /etc/kubernetes/manifests/* \
/var/lib/etcd/member 2>/dev/null; systemctl is-active keepalived"""


def inventory(control_planes: list[Any]) -> str:
    return f"control_plane = {control_planes!r}\nworkers = {WORKERS!r}\n"


def write(lab: Lab, control_planes: list[Any], address: str | None) -> None:
    """Change the inventory, and the setting of the address."""
    file = lab.project / "inventory.py"
    kept = file.read_text().partition("\nimport settings")
    file.write_text(inventory(control_planes) + "".join(kept[1:]))
    file = lab.project / "group_data" / "all.py"
    lines = file.read_text().splitlines(keepends=True)
    setting = "control_plane_address = "
    file.write_text(
        "".join(f"{setting}{address!r}\n" if each.startswith(setting) else each for each in lines)
    )


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    """One control plane with a worker, and two boards without Kubernetes."""
    made = new_lab(
        "changes", inventory(PLANES), in_use=True, topology="router", control_plane_address=ADDRESS
    )
    made.up()
    write(made, PLANES[:1], None)
    run = pyinfra(made, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output
    yield made
    made.down()


@pytest.fixture(scope="module")
def written(lab: Lab) -> Iterator[Writes]:
    """What a client makes, from the first change to the last."""
    with Writes(lab) as writes:
        yield writes


def members(lab: Lab, asked: str) -> dict[str, str]:
    """The members of etcd by name, as a node knows them: voter or learner."""
    script = f"{ETCDCTL} etcdctl member list"
    rows = ok(lab.ssh(asked, f"sudo sh -c {quote(script)}")).splitlines()
    return {row[2]: ("voter", "learner")[row[-1] == "true"] for row in map(_columns, rows)}


def _columns(row: str) -> list[str]:
    return row.split(", ")


def holders(lab: Lab) -> list[str]:
    """The nodes that have the address; without those that are off."""
    show = ["ip", "-o", "-4", "address", "show", "to", ADDRESS]
    running = [state.plan.name for state in lab.status() if state.status.state == "running"]
    return [name for name in running if ok(lab.console(name, show))]


def voters(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "voter")


def removed(lab: Lab, node: str, *arguments: str) -> Run:
    return pyinfra(lab, "-y", "--data", f"node={node}", *arguments, deploys=REMOVE)


def all_is_there(lab: Lab, written: Writes) -> None:
    """Everything that was acknowledged is there, and something was."""
    known = {f"configmap/{name}" for name in written.acknowledged}
    listed = kubectl(lab, "-n", "writes", "get", "configmaps", "-o", "name").split()
    assert known
    assert known <= set(listed)


def is_stored(lab: Lab, node: str, written: Writes) -> bool:
    """Whether a node's own member of etcd has everything that was acknowledged."""
    keys = "get --keys-only --prefix --consistency=s /registry/configmaps/writes/"
    listed = ok(lab.ssh(node, f"sudo sh -c {quote(f'{ETCDCTL} etcdctl {keys}')}")).split()
    return set(written.acknowledged) <= {key.rpartition("/")[2] for key in listed}


def dns_pods(lab: Lab) -> set[str]:
    """The IDs of the pods of CoreDNS."""
    pods = ("-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns")
    return {*kubectl(lab, *pods, "-o", "jsonpath={.items[*].metadata.uid}").split()}


def test_one_becomes_three(lab: Lab, written: Writes) -> None:
    before, dns = nodes(lab), dns_pods(lab)
    write(lab, PLANES, ADDRESS)
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output
    all_are_ready(lab, *NODES, "node4")
    assert members(lab, "node1") == voters(*NODES)
    assert len(holders(lab)) == 1
    after = nodes(lab)
    for name in ("node1", "node4"):  # nothing was built anew
        assert after[name]["metadata"]["uid"] == before[name]["metadata"]["uid"]
    config = yaml.safe_load(kubeconfig(lab).read_text())
    assert [each["cluster"]["server"] for each in config["clusters"]] == [f"https://{ADDRESS}:6443"]
    for name in (*NODES, "node4"):
        assert ok(lab.ssh(name, "getent hosts kubernetes-api")).split()[0] == ADDRESS
    # Made anew, for the scheduler to keep them apart: the stand-in's takes the emptiest node.
    assert not dns & dns_pods(lab)
    all_is_there(lab, written)
    assert changes(lab, deploys=CLUSTER) == []


def test_a_new_card_takes_the_place_of_a_dead_one(lab: Lab, written: Writes) -> None:
    """Its node is shown as Ready for a while yet, and its member has a vote."""
    before = nodes(lab)["node3"]["metadata"]["uid"]
    lab.fresh("node3")
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output
    all_are_ready(lab, *NODES, "node4")
    assert members(lab, "node1") == voters(*NODES)
    assert nodes(lab)["node3"]["metadata"]["uid"] != before
    all_is_there(lab, written)


def test_a_dead_one_is_removed_and_no_other_while_it_is_a_member(lab: Lab, written: Writes) -> None:
    lab.power_off("node3")
    run = removed(lab, "node2")
    assert run.status != 0
    assert codes("\n".join(run.lines("node1"))) == ["KUB074"], run.output
    assert members(lab, "node1") == voters(*NODES)
    assert not nodes(lab)["node2"]["spec"].get("unschedulable")

    run = removed(lab, "node3")
    assert run.status != 0
    assert "KUB068" in codes(run.output), run.output
    assert members(lab, "node1") == voters(*NODES)

    run = removed(lab, "node3", "--data", "yes=node3")
    assert run.counts("node1")[2] == 0, run.output
    assert "KUB081" in codes(run.output), run.output
    assert members(lab, "node1") == voters("node1", "node2")
    assert set(nodes(lab)) == {"node1", "node2", "node4"}
    all_is_there(lab, written)


def test_a_second_one_is_removed_and_the_last_one_is_not(lab: Lab, written: Writes) -> None:
    """The one that goes is the first of the inventory, and holds the address if it can."""
    run = removed(lab, "node1", "--exclude", "node3")
    assert run.status == 0, run.output
    assert "remove inventory.py line 1" in run.output
    assert members(lab, "node2") == voters("node2")
    assert set(nodes(lab)) == {"node2", "node4"}
    assert holders(lab) == ["node2"]
    assert ok(lab.console("node1", ["sh", "-c", f"{LEFT} || :"])) == "inactive"

    run = removed(lab, "node2", "--exclude", "node3")
    assert run.status != 0
    assert "KUB073" in codes(run.output), run.output
    write(lab, PLANES[1:2], ADDRESS)
    run = removed(lab, "node2")
    assert run.status != 0
    assert codes(run.output) == ["SET120"], run.output
    assert members(lab, "node2") == voters("node2")
    all_is_there(lab, written)


def test_one_is_left_without_an_address_in_common(lab: Lab, written: Writes) -> None:
    write(lab, PLANES[1:2], None)
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output
    all_are_ready(lab, "node2", "node4")
    assert holders(lab) == []
    assert ok(lab.console("node2", ["sh", "-c", "systemctl is-active keepalived || :"])) != "active"
    assert ok(lab.ssh("node4", "getent hosts kubernetes-api")).split()[0] == "192.168.2.12"
    all_is_there(lab, written)
    assert changes(lab, deploys=CLUSTER) == []


def test_those_that_were_removed_join_again(lab: Lab, written: Writes) -> None:
    """node3 comes back with its old disk, which etcd refuses."""
    lab.power_on("node3")
    write(lab, [PLANES[1], PLANES[0], PLANES[2]], ADDRESS)
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output
    all_are_ready(lab, *NODES, "node4")
    assert members(lab, "node2") == voters(*NODES)
    all_is_there(lab, written)


def test_nothing_is_lost_from_the_first_change_to_the_last(lab: Lab, written: Writes) -> None:
    """One client has written from one control plane to three, to one, and to three again."""
    written.end()
    all_is_there(lab, written)
    for name in NODES:
        assert until(partial(is_stored, lab, name, written)), name


def test_the_whole_cluster_is_deleted(lab: Lab) -> None:
    run = pyinfra(lab, "-y", "--data", "backup=no", deploys=RESET)
    assert run.status != 0
    assert "KUB062" in codes(run.output), run.output
    assert members(lab, "node2") == voters(*NODES)
    assert len(holders(lab)) == 1
    run = pyinfra(lab, "-y", "--data", "backup=no", "--data", "yes=bramble", deploys=RESET)
    assert run.status == 0, run.output
    for name in NODES:
        assert ok(lab.console(name, ["sh", "-c", f"{LEFT} || :"])) == "inactive"
    assert holders(lab) == []
    recorded = json.loads(ok(lab.console("node1", ["cat", "/var/lib/bramble/record.json"])))
    assert "unit keepalived.service" not in recorded["resources"]
    done = pyinfra(lab, "-y", deploys=RESET)
    assert done.status == 0, done.output
    assert all(done.left_alone(name) for name in NODES)
