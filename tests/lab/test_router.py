"""A router of the cluster's own, with all that stands on it: from fresh cards to Ready nodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.api import Lab
from tests.lab.clusters import all_are_ready, nodes, ready
from tests.lab.runs import CLUSTER, RESOLVE, Run, changes, ok, pyinfra
from tests.lab.test_shared_downloads import CONNECT, can_connect
from tests.lab.verifying import verify

pytestmark = pytest.mark.slow

INVENTORY = """
control_plane = [("node1", {"address": "192.168.2.11"})]
workers = [("node2", {"address": "192.168.2.12", "first_address": "192.168.2.150"})]
"""
FORMER = "192.168.2.150"
NODES = {"node1": "192.168.2.11", "node2": "192.168.2.12"}


@pytest.fixture(scope="module")
def deployed(new_lab: Callable[..., Lab]) -> Iterator[tuple[Lab, Run]]:
    lab = new_lab("home", INVENTORY, in_use=True, topology="router")
    lab.up()
    assert f"src {FORMER}" in ok(lab.ssh("node2", "ip route show default"))
    assert "connected" in ok(lab.ssh("node2", "nmcli -t -f DEVICE,STATE device"))
    yield lab, pyinfra(lab, "-y", deploys=CLUSTER)
    lab.down()


def check(lab: Lab) -> None:
    for node, address in NODES.items():
        shown = json.loads(ok(lab.ssh(node, "ip -4 -json address show dev eth0")))
        assert [a["local"] for a in shown[0]["addr_info"]] == [address], node
        assert ok(lab.ssh(node, "ip route show default")).startswith("default via 192.168.2.1 ")
        resolv = ok(lab.ssh(node, "grep ^nameserver /etc/resolv.conf")).splitlines()
        assert resolv == ["nameserver 8.8.8.8", "nameserver 8.8.4.4", "nameserver 192.168.2.1"], (
            node
        )
        ok(lab.ssh(node, RESOLVE))
        ok(lab.ssh(node, "sudo apt-get update --error-on=any"))


def test_every_node_has_its_address_gateway_and_nameservers(deployed: tuple[Lab, Run]) -> None:
    lab, run = deployed
    assert run.status == 0, run.output
    check(lab)


def test_a_node_on_dhcp_is_followed_to_its_new_address_in_one_run(
    deployed: tuple[Lab, Run],
) -> None:
    lab, run = deployed
    assert run.lines("node2").count("Connected") >= 2, run.output
    assert ok(lab.ssh("node2", "sudo ifquery --state eth0")) == "eth0=eth0"
    assert "eth0:unmanaged" in ok(lab.ssh("node2", "nmcli -t -f DEVICE,STATE device"))
    asked = [lab.run(["sh", "-c", CONNECT.format(at, 22)]) for at in (NODES["node2"], FORMER)]
    assert [can_connect(each) for each in asked] == [True, False]


def test_a_step_that_is_for_no_node_here_says_so(deployed: tuple[Lab, Run]) -> None:
    run = pyinfra(deployed[0], "-y", deploys=["deploys/gateway.py"])
    assert run.status == 0
    assert "Nothing to do: the settings have no step for these nodes" in run.output


def test_all_nodes_are_ready_at_their_addresses(deployed: tuple[Lab, Run]) -> None:
    lab, run = deployed
    assert run.status == 0, run.output[-5000:]
    assert ready(lab) == set(NODES)
    for name, node in nodes(lab).items():
        assert {"type": "InternalIP", "address": NODES[name]} in node["status"]["addresses"]


def test_nothing_is_translated_here(deployed: tuple[Lab, Run]) -> None:
    lab, _ = deployed
    assert "BRAMBLE" not in ok(lab.ssh("node1", "sudo iptables-save"))


def test_a_second_run_changes_nothing(deployed: tuple[Lab, Run]) -> None:
    assert changes(deployed[0], deploys=CLUSTER) == []


def test_verify_finds_it_fine(deployed: tuple[Lab, Run], tmp_path: Path) -> None:
    found = verify(deployed[0], tmp_path / "report.xml")
    assert found.failed == {}, found.output
    assert 'Skipped (topology = "router" needs no NAT): NAT rules' in found.output


def test_all_of_it_survives_a_reboot(deployed: tuple[Lab, Run]) -> None:
    lab, _ = deployed
    with ThreadPoolExecutor() as pool:
        list(pool.map(lab.reboot, NODES))
    check(lab)
    all_are_ready(lab, *NODES)
    assert changes(lab, deploys=CLUSTER) == []
