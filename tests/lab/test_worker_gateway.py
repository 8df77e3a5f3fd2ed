"""A gateway that is a worker, in front of the control plane: from fresh cards to Ready nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.api import Lab
from tests.lab.clusters import all_are_ready, kubeconfig, kubectl, nodes, ready
from tests.lab.runs import CLUSTER, RESOLVE, Run, changes, ok, pyinfra
from tests.lab.verifying import verify

pytestmark = pytest.mark.slow

INVENTORY = """
control_plane = [("node1", {"address": "192.168.2.11"})]
workers = [("node2", {"address": "192.168.2.12", "uplink_address": "192.168.1.32"})]
"""
NODES = {"node1": "192.168.2.11", "node2": "192.168.2.12"}
NOT_REACHED = (7, 28)  # of curl(1)'s exit codes: it could not connect, or not in time
ASK = "curl -sS -o /dev/null -w '%{http_code}' --max-time 20 "


@pytest.fixture(scope="module")
def deployed(new_lab: Callable[..., Lab]) -> Iterator[tuple[Lab, Run, Run]]:
    lab = new_lab("wgw", INVENTORY, in_use=True, kubectl_proxy=True)
    lab.up()
    dry = pyinfra(lab, "--dry", deploys=CLUSTER)
    yield lab, dry, pyinfra(lab, "-y", deploys=CLUSTER)
    lab.down()


def test_a_dry_run_of_blank_nodes_ends_well(deployed: tuple[Lab, Run, Run]) -> None:
    _, dry, _ = deployed
    assert dry.status == 0, dry.output[-5000:]


def test_all_nodes_are_ready_at_their_addresses(deployed: tuple[Lab, Run, Run]) -> None:
    lab, _, run = deployed
    assert run.status == 0, run.output[-5000:]
    assert ready(lab) == set(NODES)
    for name, node in nodes(lab).items():
        assert {"type": "InternalIP", "address": NODES[name]} in node["status"]["addresses"]
    assert "node-role.kubernetes.io/control-plane" in nodes(lab)["node1"]["metadata"]["labels"]


def test_the_control_plane_reaches_the_internet_through_the_worker(
    deployed: tuple[Lab, Run, Run],
) -> None:
    lab = deployed[0]
    route = ok(lab.ssh("node1", "ip route show default"))
    assert route.startswith("default via 192.168.2.12 ")
    ok(lab.ssh("node1", RESOLVE))
    ok(lab.ssh("node1", "sudo apt-get update --error-on=any"))
    assert "BRAMBLE" not in ok(lab.ssh("node1", "sudo iptables-save"))


def test_kubectl_reaches_the_api_server_through_the_worker(deployed: tuple[Lab, Run, Run]) -> None:
    lab = deployed[0]
    assert "server: https://192.168.1.32:6443" in kubeconfig(lab).read_text()
    assert kubectl(lab, "get", "nodes", "-o", "name").split() == ["node/node1", "node/node2"]


def test_so_it_does_kubectl_proxy_and_nothing_else(deployed: tuple[Lab, Run, Run]) -> None:
    lab = deployed[0]
    asked = lab.run(["sh", "-c", f"{ASK} http://192.168.1.32:8080/version"])
    assert ok(asked) == "200"
    for port in (2379, 10257):  # of the control plane, at all its addresses
        asked = lab.run(["sh", "-c", f"{ASK} https://192.168.1.32:{port}/"])
        assert asked.returncode in NOT_REACHED


def test_a_second_run_changes_nothing(deployed: tuple[Lab, Run, Run]) -> None:
    assert changes(deployed[0], deploys=CLUSTER) == []


def test_verify_finds_it_fine(deployed: tuple[Lab, Run, Run], tmp_path: Path) -> None:
    found = verify(deployed[0], tmp_path / "report.xml")
    assert found.failed == {}, found.output
    assert "NAT rules now" in found.output


def test_all_of_it_survives_a_reboot(deployed: tuple[Lab, Run, Run]) -> None:
    lab = deployed[0]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lab.reboot, NODES))
    all_are_ready(lab, *NODES)
    assert changes(lab, deploys=CLUSTER) == []


def test_undo_and_redo_pass_through_the_worker(deployed: tuple[Lab, Run, Run]) -> None:
    lab = deployed[0]
    defined = ["test", "-e", "/etc/network/interfaces.d/eth0"]
    for expected in (1, 0):
        run = pyinfra(lab, "-y", deploys=["deploys/undo.py"])
        assert run.status == 0, run.output[-5000:]
        for node in NODES:
            assert lab.console(node, defined).returncode == expected, run.output[-5000:]
    all_are_ready(lab, *NODES)
    assert changes(lab, deploys=CLUSTER) == []


def test_a_gateway_that_leaves_the_cluster_with_all_files_still_routes(
    deployed: tuple[Lab, Run, Run],
) -> None:
    lab = deployed[0]
    options = ["--data", "node=node2", "--data", "packages=purge"]
    run = pyinfra(lab, "-y", *options, deploys=["deploys/remove.py"])
    assert run.status == 0, run.output[-5000:]
    assert set(nodes(lab)) == {"node1"}
    assert lab.console("node2", ["ls", "/etc/modules-load.d/bramble.conf"]).returncode != 0
    lab.reboot("node2")
    ok(lab.ssh("node1", RESOLVE))
