"""A worker moves to another inventory: it is as if it had never been in the first one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.api import Lab
from tests.lab.clusters import all_are_ready
from tests.lab.runs import CLUSTER, Run, differences, ok, pyinfra
from tests.lab.test_network_removals import looks
from tests.lab.test_removals import configure, record, removed

pytestmark = pytest.mark.long

ALL = """
control_plane = [("node3", {"address": "192.168.2.13"})]
workers = [("node1", {"address": "192.168.2.11"}), ("node2", {"address": "192.168.2.12"})]
"""
FIRST = """
control_plane = [("node1", {"address": "192.168.2.11"})]
workers = [("node2", {"address": "192.168.2.12"})]
"""
# What its SD cards do not have yet.
MORE = FIRST.replace(
    '.12"', '.12", "search_domains": ["first.lan"], "node_labels": {"disktype": "ssd"}'
)
SECOND = """
control_plane = [("node3", {"address": "192.168.2.13"})]
workers = [("node2", {"address": "192.168.2.12"})]
"""
MIRROR = {"docker.io": "http://192.168.2.1:5000"}
# What each joining makes anew: the kubelet's certificate.
JOINED = "/etc/kubernetes/kubelet.conf "


def check_out(lab: Lab, inventory: str, **settings: object) -> None:
    """Go to the clone that has this inventory: each has a .cluster/ of its own."""
    project = lab.project
    here, there = (
        project / ".cluster-second",
        project / ".cluster-first",
    )
    if inventory == FIRST:
        here, there = there, here
    (project / ".cluster").rename(there)
    here.mkdir(mode=0o700, exist_ok=True)
    here.rename(project / ".cluster")
    configure(lab, inventory, **settings)


def deploy(lab: Lab) -> Run:
    run = pyinfra(lab, "-y", deploys=CLUSTER)
    assert run.status == 0, run.output
    return run


def worker(lab: Lab) -> dict[str, set[str]]:
    return {
        node: {line for line in lines if not line.startswith(JOINED)}
        for node, lines in looks(lab, "node2").items()
    }


@pytest.fixture
def lab(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    lab = new_lab("moves", ALL, in_use=True, topology="router")
    lab.up()
    yield lab
    lab.down()


def test_a_worker_that_moves_to_another_inventory_keeps_nothing_of_the_first(lab: Lab) -> None:
    configure(lab, SECOND)
    deploy(lab)
    never = worker(lab)
    ok(lab.run(["kubectl", "--context=bramble", "delete", "node", "node2"]))

    check_out(lab, FIRST)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lab.fresh, ["node1", "node2"]))
    configure(lab, MORE, registry_mirrors=MIRROR, password_login=False)
    deploy(lab)
    assert differences(never, worker(lab)) != []
    assert set(record(lab, "node2")["nodes"]) == {"node1", "node2"}
    remove = pyinfra(lab, "-y", "--data", "node=node2", deploys=["deploys/remove.py"])
    assert remove.status == 0, remove.output
    # As in docs/removals.md.
    key = (lab.project / ".cluster-second" / "id_ed25519.pub").read_text()
    ok(lab.ssh("node2", "cat >> .ssh/authorized_keys", stdin=key))

    check_out(lab, SECOND, registry_mirrors={}, password_login=None)
    ok(lab.run(["ssh-keygen", "-R", "192.168.2.12", "-f", ".cluster/known_hosts"]))
    gone = removed(deploy(lab))["node2"]
    assert {f"file /etc/containerd/certs.d/{name}/hosts.toml" for name in MIRROR} < gone
    assert [name for name in gone if re.fullmatch("key ssh-ed25519 ….* of pi", name)]
    assert differences(never, worker(lab)) == []
    assert set(record(lab, "node2")["nodes"]) == {"node3", "node2"}
    all_are_ready(lab, "node3", "node2")
    assert deploy(lab).left_alone("node2")
