"""A network change that cuts the connection is rolled back; one that does not stays."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.api import Lab
from messages import codes
from tests.lab.guarded import (
    CUT_OFF,
    HEARD_S,
    INVENTORY,
    SECONDS,
    UNREACHED_S,
    all_rolled_back,
    confirmations,
    deploy,
    is_applied,
    nothing_is_left,
    opens,
    run,
)
from tests.lab.runs import Run, changes, differences, ok, pyinfra, snapshot

WORKERS = ("node2", "node3", "node4", "node5")
UNREACHED = CUT_OFF, r"192\.168\.2\.\d+"


@pytest.fixture(scope="module")
def guarded(new_lab: Callable[..., Lab]) -> Iterator[tuple[Lab, Run]]:
    """A cluster with its network; before it, one rollback to what NetworkManager had set up."""
    lab = new_lab("guard", INVENTORY)
    lab.up()
    before = snapshot(lab, "node3")
    assert "eth0:connected" in ok(lab.ssh("node3", "nmcli -t -f DEVICE,STATE device"))
    wrong = 'interfaces.interface(interface="eth0", address="192.168.2.13/30")'
    done = run(lab, {"node3": wrong}, UNREACHED_S)
    all_rolled_back(lab, done, before, {"node3": UNREACHED})
    assert "eth0:connected" in ok(lab.ssh("node3", "nmcli -t -f DEVICE,STATE device"))
    yield lab, pyinfra(lab, "-y")
    lab.down()


@pytest.fixture
def lab(guarded: tuple[Lab, Run]) -> Lab:
    return guarded[0]


def test_good_changes_are_confirmed_and_leave_nothing(guarded: tuple[Lab, Run]) -> None:
    lab, first = guarded
    assert first.status == 0, first.output
    nodes = ("node1", *WORKERS)
    for node in nodes:
        assert confirmations(first, node) == 1, first.output
    nothing_is_left(lab, *nodes)
    mode = "stat -c '%a %U' /var/lib/bramble/guard"
    assert ok(lab.ssh("node2", f"sudo {mode}")) == "700 root"


def test_all_of_a_nodes_network_is_one_change(guarded: tuple[Lab, Run]) -> None:
    _, first = guarded
    said = [line for line in first.lines("node1") if "confirmed after" in line]
    assert [line.split(":")[0] for line in said] == [
        "the iptables rules, eth0, wlan0 and resolv.conf"
    ]
    order = [line.split(":")[0] for line in first.output.splitlines() if "confirmed after" in line]
    assert "node1" in order[0], "the gateway's change is the first to be confirmed"


def test_no_change_costs_no_remote_execution(lab: Lab) -> None:
    assert changes(lab) == []
    shown = pyinfra(lab, "-y", "-vv").output
    confirmations = ("Apply network changes", "Confirm SSH access")
    parts = [
        part
        for part in shown.split("--> ")
        if any(name in part.split("\n")[0] for name in confirmations)
    ]
    assert len(parts) >= 4, shown
    for part in parts:
        assert ">>>" not in part
    assert ">>>" in shown


def test_what_cuts_the_connection_is_rolled_back(lab: Lab) -> None:
    """A wrong address, a wrong prefix, a mistyped name, SSH dropped: on four nodes at once."""
    before = snapshot(lab, *WORKERS)
    done = run(
        lab,
        {
            "node2": 'interfaces.interface(interface="eth0", address="192.168.9.12/24",'
            ' new_address="192.168.9.12")',
            "node3": 'interfaces.interface(interface="eth0", address="192.168.2.13/30")',
            "node4": 'by_hand(f"sed -i s/eth0/ehto/ {ETH0}; ifdown -i /etc/network/interfaces eth0;'
            ' ip address flush dev eth0; ifup -a || true", [ETH0], interface="eth0")',
            "node5": "iptables.ruleset(rules=PORT_22, **RULES)",
        },
        UNREACHED_S,
    )
    all_rolled_back(
        lab,
        done,
        before,
        {
            "node2": (CUT_OFF, r"192\.168\.9\.12"),
            "node3": UNREACHED,
            "node4": UNREACHED,
            "node5": UNREACHED,
        },
    )


def test_what_cuts_names_the_default_route_or_ssh_access_is_rolled_back(lab: Lab) -> None:
    """A wrong gateway, no name servers, no admin key, an invalid sshd_config."""
    before = snapshot(lab, *WORKERS)
    done = run(
        lab,
        {
            "node2": 'interfaces.interface(interface="eth0", address="192.168.2.12/24",'
            ' gateway="192.168.2.77")',
            "node3": 'by_hand("echo > /etc/resolv.conf", ["/etc/resolv.conf"])',
            "node4": 'by_hand("echo > /home/pi/.ssh/authorized_keys",'
            ' ["/home/pi/.ssh/authorized_keys"], network=False)',
            "node5": 'by_hand("echo Prot 2 > /etc/ssh/sshd_config.d/10-bramble.conf;'
            ' systemctl restart ssh || true", ["/etc/ssh/sshd_config.d/10-bramble.conf"],'
            ' reload="systemctl reset-failed ssh; systemctl reload-or-restart ssh", network=False)',
        },
        HEARD_S,
    )
    all_rolled_back(
        lab,
        done,
        before,
        {
            "node2": ("NET026", r"192\.168\.2\.77"),
            "node3": ("NET029", "resolv.conf|done by hand"),
            "node4": (CUT_OFF, "Authentication"),  # and sshd does not block us for it
            "node5": UNREACHED,
        },
    )


def test_an_address_that_another_node_has(lab: Lab) -> None:
    """It is noticed before the connection is cut; if not, the host key gives it away."""
    before = snapshot(lab, "node2", "node4")
    done = run(
        lab,
        {
            "node2": 'interfaces.interface(interface="eth0", address="192.168.2.13/24",'
            ' gateway="192.168.2.11", new_address="192.168.2.13")',
            "node4": 'by_hand(f"sed -i s/2.14/2.15/ {ETH0}; {UP}", [ETH0], interface="eth0",'
            ' new_address="192.168.2.15")',
        },
        HEARD_S,
    )
    reasons = {
        "node2": ("NET061", r"192\.168\.2\.13"),
        "node4": ("NET061", r"192\.168\.2\.15"),
    }
    all_rolled_back(lab, done, before, reasons)
    opens(lab, "node3", "node5")


def test_the_run_is_killed_and_a_worker_rebooted_right_after(lab: Lab) -> None:
    before = snapshot(lab, "node2", "node3")

    def killed() -> None:
        command = deploy(lab, {"node2": "iptables.ruleset(rules=PORT_22, **RULES)"}, HEARD_S)
        with subprocess.Popen(
            lab.operator_command(command),
            env=lab.operator_environment(),
            cwd=lab.project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as operator:
            is_applied(lab, "node2")
            os.killpg(operator.pid, signal.SIGKILL)
        opens(lab, "node2")

    def rebooted() -> Run:
        wrong = 'interfaces.interface(interface="eth0", address="192.168.2.13/30")'
        with ThreadPoolExecutor() as pool:
            running = pool.submit(run, lab, {"node3": wrong})
            is_applied(lab, "node3")
            lab.reboot("node3")
            return running.result()

    with ThreadPoolExecutor() as pool:
        one, other = pool.submit(killed), pool.submit(rebooted)
        one.result()
        done = other.result()
    all_rolled_back(lab, done, {"node3": before["node3"]}, {"node3": ("NET063", "")})
    nothing_is_left(lab, "node2")
    assert differences({"node2": before["node2"]}, snapshot(lab, "node2")) == []


def test_the_gateways_plug_is_pulled_right_after(lab: Lab) -> None:
    """Rules and their unit are rolled back, and the workers behind it are reachable again."""
    before = snapshot(lab, "node1")
    wrong = "iptables.ruleset(rules=PORT_22, **RULES)"
    with ThreadPoolExecutor() as pool:
        running = pool.submit(run, lab, {"node1": wrong})
        is_applied(lab, "node1")
        lab.power_off("node1")
        lab.power_on("node1")
        done = running.result()
    all_rolled_back(lab, done, before, {"node1": ("NET063", "")})
    assert ok(lab.console("node1", ["systemctl", "--failed", "--no-legend", "--plain"])) == ""
    opens(lab, *WORKERS)


def test_a_gateway_that_rolled_back_leaves_its_workers_alone(lab: Lab) -> None:
    """The whole network deploy, with a wrong gateway for the uplink."""
    data = ["--data", f"guard_seconds={SECONDS}", "--data", "uplink_method=static"]
    before = snapshot(lab)
    done = pyinfra(lab, "-y", *data, "--data", "uplink_gateway=192.168.1.77")
    assert done.status != 0
    said = [line for line in done.lines("node1") if codes(line) == ["NET026"]]
    assert "192.168.1.77" in said[0], done.output
    for worker in WORKERS:
        assert any(codes(line) == ["RUN009"] for line in done.lines(worker))
    assert differences(before, snapshot(lab)) == []


def test_a_node_is_followed_to_a_new_address_and_undo_brings_it_back(lab: Lab) -> None:
    before = snapshot(lab, "node2")
    moved = (
        'interfaces.interface(interface="eth0", address="192.168.2.42/24",'
        ' gateway="192.168.2.11", new_address="192.168.2.42")'
    )
    done = run(lab, {"node2": moved})
    assert done.status == 0, done.output
    assert confirmations(done, "node2") == 1
    nothing_is_left(lab, "node2")
    assert "192.168.2.42" in ok(lab.console("node2", ["hostname", "-I"]))
    config = lab.project / ".cluster" / "ssh_config"
    assert "HostName 192.168.2.42" in config.read_text(), "ssh_config follows"

    here = (lab.project / "inventory.py").read_text()
    there = '\nworkers[0][1]["first_address"] = "192.168.2.42"\n'
    (lab.project / "inventory.py").write_text(here.replace("range(2, 6)]", f"range(2, 6)]{there}"))
    try:
        undo = pyinfra(lab, "-y", "--limit", "node2", deploys=["deploys/undo.py"])
    finally:
        (lab.project / "inventory.py").write_text(here)
    assert undo.status == 0, undo.output
    assert confirmations(undo, "node2") == 1
    nothing_is_left(lab, "node2")
    opens(lab, "node2")
    assert differences(before, snapshot(lab, "node2")) == []
    assert changes(lab) == []
