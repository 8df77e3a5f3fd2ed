"""A switch, and a gateway for the workers: from fresh cards to a networked cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from lab.api import Lab
from messages import codes
from tests.lab.runs import (
    NETWORK,
    Run,
    changes,
    differences,
    fresh,
    ok,
    paths,
    pyinfra,
    reaches_internet,
    snapshot,
    start,
)

WORKERS = ("node2", "node3")
FOREIGN = "iptables -A FORWARD -s 10.9.9.9 -j DROP -m comment --comment 'not ours'"


@dataclass(frozen=True)
class Deployed:
    """Fresh nodes, a dry run, and the run."""

    lab: Lab
    blank: dict[str, set[str]]
    dry: Run
    after_dry: dict[str, set[str]]
    run: Run
    after: dict[str, set[str]]


@pytest.fixture(scope="module")
def nat(new_lab: Callable[..., Lab]) -> Iterator[Deployed]:
    lab = new_lab("nat")
    lab.up()
    blank = snapshot(lab)
    dry = pyinfra(lab, "--dry", "--diff")
    after_dry = snapshot(lab)
    run = pyinfra(lab, "-y")
    yield Deployed(lab, blank, dry, after_dry, run, snapshot(lab))
    lab.down()


def test_a_dry_run_of_blank_nodes_ends_well_and_changes_nothing(nat: Deployed) -> None:
    assert nat.dry.status == 0, nat.dry.output
    assert differences(nat.blank, nat.after_dry) == []


def test_a_dry_run_shows_every_file_and_rule_to_come_and_the_run_does_exactly_that(
    nat: Deployed,
) -> None:
    assert nat.run.status == 0, nat.run.output
    for node, before in nat.blank.items():
        changed = paths(nat.after[node] ^ before)
        said = nat.dry.lines(node)
        announced = {
            line.split()[2]
            for line in said
            if line.startswith(("Will create /", "Will modify /", "Will remove /"))
        }
        assert changed == announced, node
    said_of_gateway = "\n".join(nat.dry.lines("node1"))
    for rule in ("-o wlan0 -j MASQUERADE", "-i eth0 -o wlan0", "RELATED,ESTABLISHED"):
        assert rule in said_of_gateway


def test_a_worker_reaches_internet_through_the_gateway(nat: Deployed) -> None:
    reaches_internet(nat.lab, *WORKERS)
    connections = ok(nat.lab.ssh("node1", "sudo iptables -t nat -L BRAMBLE-POSTROUTING -nvx"))
    packets = [line.split()[0] for line in connections.splitlines() if "MASQUERADE" in line]
    assert len(packets) == 1
    assert int(packets[0]) > 0


def test_a_second_run_changes_nothing(nat: Deployed) -> None:
    before = snapshot(nat.lab)
    assert changes(nat.lab) == []
    assert differences(before, snapshot(nat.lab)) == []


def test_each_deploy_runs_by_itself(nat: Deployed) -> None:
    for deploy in (*NETWORK, "deploys/gateway.py"):
        assert changes(nat.lab, deploys=[deploy]) == []


def test_nodes_know_each_other_by_name(nat: Deployed) -> None:
    names = {"node1": "192.168.2.11", "node2": "192.168.2.12", "node3": "192.168.2.13"}
    for node in names:
        assert ok(nat.lab.ssh(node, "hostname")) == node
        for name, address in names.items():
            assert (
                ok(nat.lab.ssh(node, f"getent ahostsv4 {name} | head -n 1")).split()[0] == address
            )


def test_network_manager_leaves_the_interfaces_alone(nat: Deployed) -> None:
    for node in ("node1", "node2", "node3"):
        for line in ok(nat.lab.ssh(node, "nmcli -t -f DEVICE,STATE device")).splitlines():
            device, state = line.split(":")
            assert device == "lo" or state == "unmanaged", f"{node}: {line}"


def test_the_uplink_goes_down_and_up_beside_the_rules_of_others(nat: Deployed) -> None:
    lab = nat.lab
    ok(lab.ssh("node1", f"sudo {FOREIGN} && sudo iptables -t nat -N SOMEONE"))
    before = snapshot(lab, "node1")
    ok(lab.ssh("node1", "sudo systemd-run --wait sh -c 'ifdown wlan0; ifup wlan0'"))
    assert differences(before, snapshot(lab, "node1")) == []
    reaches_internet(lab, *WORKERS)
    ok(lab.ssh("node1", f"sudo {FOREIGN.replace('-A', '-D')} && sudo iptables -t nat -X SOMEONE"))


def test_changed_rules_are_restored_and_the_rules_of_others_stay(nat: Deployed) -> None:
    lab = nat.lab
    before = snapshot(lab, "node1")
    ok(lab.ssh("node1", f"sudo {FOREIGN}"))
    ok(lab.ssh("node1", "sudo iptables -t nat -F BRAMBLE-POSTROUTING"))
    ok(lab.ssh("node1", "sudo iptables -D FORWARD -j BRAMBLE-FORWARD"))
    assert [line.split(" | ")[-1] for line in changes(lab)] == [
        "NAT rules: ['node1']",
        "Apply network changes: ['node1']",
    ]
    ok(lab.ssh("node1", f"sudo {FOREIGN.replace('-A', '-D')}"))
    assert differences(before, snapshot(lab, "node1")) == []


# Rules as a person types them, and as iptables prints them.
RULES = [
    ("-A INPUT -p udp --dport 010 -j ACCEPT", ["-p udp -m udp --dport 10 -j ACCEPT"]),
    (
        "-A INPUT -m pkttype --pkt-type bcast -j ACCEPT",
        ["-m pkttype --pkt-type broadcast -j ACCEPT"],
    ),
    ("-A INPUT -s 10.9.0.1,10.9.0.2", ["-s 10.9.0.1/32", "-s 10.9.0.2/32"]),
    ("-A INPUT -s node2 -j ACCEPT", ["-s 192.168.2.12/32 -j ACCEPT"]),
    ("-A INPUT -m conntrack --ctorigsrc 10/8", ["-m conntrack --ctorigsrc 0.0.0.10/8"]),
    (
        "-A INPUT -m comment --comment 'COMMIT' -j SOMEONE",
        ["-m comment --comment COMMIT -j SOMEONE"],
    ),
    (
        "-A INPUT -p tcp --dport ssh -m limit --limit 60/min",
        ["-p tcp -m tcp --dport 22 -m limit --limit 1/sec"],
    ),
]
REFUSED = "-A INPUT -s router.invalid -j DROP"


def rules(lab: Lab, node: str, typed: list[str], *arguments: str, present: bool = True) -> Run:
    """Run a deploy of these rules only."""
    call = f"rules={typed!r}, path='/etc/other_rules.fw', prefix='OTHER', present={present}"
    text = f"from operations import iptables\n\niptables.ruleset(name='Other rules', {call})\n"
    (lab.project / "rules.py").write_text(text)
    return pyinfra(lab, "--limit", node, *arguments, deploys=["rules.py"])


def test_rules_are_what_the_nodes_iptables_says_they_are(nat: Deployed) -> None:
    lab, typed = nat.lab, [rule for rule, _ in RULES]
    ok(lab.ssh("node1", "sudo iptables -N SOMEONE"))
    before = snapshot(lab, "node1")
    assert rules(lab, "node1", typed, "-y").status == 0
    live = ok(lab.ssh("node1", "sudo iptables -S OTHER-INPUT")).splitlines()
    assert live[1:] == [f"-A OTHER-INPUT {line}" for _, printed in RULES for line in printed]
    with_them = snapshot(lab, "node1")
    again = rules(lab, "node1", typed, "-y")
    assert again.left_alone("node1"), again.output
    for arguments in (["--dry", "--diff"], ["-y"]):
        refused = rules(lab, "node1", [*typed, REFUSED], *arguments)
        assert refused.status != 0
        said = [line for line in refused.lines("node1") if codes(line) == ["NET050"]]
        assert said, refused.output
        assert repr(REFUSED) in said[0]
        assert "host/network `router.invalid' not found" in said[0]
    assert differences(with_them, snapshot(lab, "node1")) == []
    assert rules(lab, "node1", [], "-y", present=False).status == 0
    assert differences(before, snapshot(lab, "node1")) == []
    ok(lab.ssh("node1", "sudo iptables -X SOMEONE"))


def test_without_iptables_all_rules_are_planned_and_a_bad_one_is_refused_once_it_is_installed(
    nat: Deployed,
) -> None:
    lab, typed = nat.lab, [rule for rule, _ in RULES if "SOMEONE" not in rule]
    ok(lab.ssh("node3", "sudo dpkg --remove --force-depends iptables"))
    before = snapshot(lab, "node3")
    dry = rules(lab, "node3", typed, "--dry", "--diff")
    assert dry.status == 0, dry.output
    said = dry.lines("node3")
    assert "Will install iptables" in said
    for rule in typed:
        assert any(rule.removeprefix("-A INPUT ") in line for line in said), dry.output
    assert differences(before, snapshot(lab, "node3")) == []
    refused = rules(lab, "node3", [*typed, REFUSED], "-y")
    assert refused.status != 0
    assert any(
        repr(REFUSED) in line and codes(line) == ["NET050"] for line in refused.lines("node3")
    ), refused.output
    assert "OTHER" not in ok(lab.ssh("node3", "sudo iptables-save; ls /etc"))
    good = rules(lab, "node3", typed, "-y")
    assert good.status == 0, good.output
    assert rules(lab, "node3", typed, "-y").left_alone("node3")
    assert rules(lab, "node3", [], "-y", present=False).status == 0


def test_all_of_it_survives_a_reboot_of_every_node(nat: Deployed) -> None:
    for node in ("node1", "node2", "node3"):
        nat.lab.reboot(node)
    reaches_internet(nat.lab, *WORKERS)
    assert changes(nat.lab) == []


def test_a_run_that_was_cut_off_is_completed_by_the_next(nat: Deployed) -> None:
    """The gateway loses its power while its interface is being changed."""
    lab = nat.lab
    fresh(lab)
    running = start(lab, "-y")
    assert running.stdout is not None
    for line in running.stdout:
        if "Apply network changes" in line:
            lab.power_off("node1")
            break
    lab.power_on("node1")
    running.communicate()
    assert running.returncode != 0
    assert pyinfra(lab, "-y").status == 0
    reaches_internet(lab, *WORKERS)
    assert changes(lab) == []
