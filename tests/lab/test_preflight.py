"""
Preflight: faults are injected into nodes, and found before anything is changed.

Checks do not depend on each other: a node has many faults at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.api import Lab
from messages import codes
from operations.preflight.checks import CHECKS
from tests.lab.preflight_faults import FAULTS, says
from tests.lab.runs import CLUSTER, Run, ok, pyinfra

pytestmark = pytest.mark.slow

NODES = ("node1", "node2", "node3")
PREFLIGHT = ["deploys/preflight.py"]
SUDOERS = "/etc/sudoers.d/90-cloud-init-users"

RULES = "for t in filter nat mangle; do iptables-save -t $t | sed '/^#/d; s/\\[.*//'; done"
CHANGED = f"""{RULES} | cmp -s - /run/before || echo rules
find / -xdev \\( -path /var/log -o -path /var/cache -o -path /var/lib/systemd -o -path /proc \
  -o -path /sys \\) -prune -o ! -type d ! -name .sudo_as_admin_successful -cnewer /run/mark -print
ls -d /var/tmp/bramble-* /run/bramble-* 2>/dev/null || :"""
UNCHANGED: dict[str, list[str]] = {node: [] for node in NODES}

# The start of cluster.py, as far as it takes to see who goes on.
START = """from pyinfra import local
local.include("deploys/preflight.py")
local.include("deploys/gateway.py")
"""


@pytest.fixture(scope="module")
def lab(new_lab: Callable[..., Lab]) -> Iterator[Lab]:
    made = new_lab("look", control_plane_address="192.168.2.10")
    made.up()
    (made.project / "start.py").write_text(START)
    yield made
    made.down()


def as_root(lab: Lab, node: str, *scripts: str) -> None:
    ok(lab.ssh(node, "sudo sh -e", stdin="\n".join(scripts)))


def mark(lab: Lab) -> None:
    """From now on changes count; a file's own time says when it was changed last."""
    for node in NODES:
        ok(lab.console(node, ["sh", "-c", f"sleep 0.02; {RULES} > /run/before; touch /run/mark"]))


def changed(lab: Lab) -> dict[str, list[str]]:
    """Files that were changed since then, except for logs and caches; and live rules."""
    return {node: ok(lab.console(node, ["sh", "-c", CHANGED])).split() for node in NODES}


def row(run: Run, node: str, check: str) -> str:
    """A row of the table of a node: status and text."""
    blocks = re.split(r"(?m)^ *(node\d) \(", run.output)
    block = blocks[blocks.index(node) + 1]
    found = re.search(rf"(?m)^ *(OK|warning|failure) +{re.escape(check)}  +(.*)$", block)
    assert found, block
    return f"{found[1]}: {found[2]}"


def test_cluster_py_begins_with_it() -> None:
    text = (Path(__file__).parents[2] / CLUSTER[0]).read_text()
    assert re.findall(r'include\("(.+)"\)', text)[0] == PREFLIGHT[0]


def test_fresh_nodes_pass_and_are_left_unchanged(lab: Lab) -> None:
    mark(lab)
    run = pyinfra(lab, "-y", deploys=PREFLIGHT)
    assert run.status == 0, run.output
    for node in NODES:
        assert row(run, node, "sudo") == "OK: without a password"
    assert not re.search(r"(?m)^ *failure ", run.output), run.output
    assert "not reachable yet: the run sets the default route, by node1" in row(
        run, "node2", "package servers"
    )
    assert changed(lab) == UNCHANGED


def test_a_gateway_that_fails_stops_all_before_the_first_change(lab: Lab) -> None:
    """Those behind it are left alone; in a dry run it is told as well."""
    as_root(lab, "node1", "mkdir -p /etc/kubernetes && echo x > /etc/kubernetes/admin.conf")
    as_root(lab, "node2", f"mv {SUDOERS} /root/kept")
    as_root(lab, "node3", "chmod 640 /home/pi/.ssh/authorized_keys")  # the first thing to mend
    mark(lab)
    for mode in ("--dry", "-y"):
        run = pyinfra(lab, mode, deploys=CLUSTER)
        assert run.status != 0, run.output
        said = {node: "\n".join(run.lines(node)) for node in NODES}
        assert codes(said["node1"]) == ["KUB007", "PRE001"]
        assert "earlier cluster" in said["node1"]
        assert codes(said["node2"]) == ["PRE003", "PRE001"]
        assert re.search(r"(?m)^failure\b.*\bpi\b", said["node2"]), said
        assert re.search(r"^24 checks(, all OK|: 1 warning)$", said["node3"], re.MULTILINE)
        for node in ("node1", "node2"):
            assert "Will" not in said[node]
    assert "RUN009" in codes(said["node3"])
    assert changed(lab) == UNCHANGED
    as_root(lab, "node1", "rm -r /etc/kubernetes")
    ok(lab.console("node2", ["mv", "/root/kept", SUDOERS]))


def test_a_worker_that_fails_is_left_unchanged_and_the_others_go_on(lab: Lab) -> None:
    as_root(lab, "node3", "touch /usr/local/bin/k3s")
    mark(lab)
    run = pyinfra(lab, "-y", deploys=["start.py"])
    assert run.status != 0
    said = "\n".join(run.lines("node3"))
    assert "failure: earlier cluster: k3s, " in said
    assert {"PRE073", "PRE001"} <= {*codes(said)}
    assert run.output.splitlines()[-1].startswith("node3: failed.")
    files = changed(lab)
    assert {"rules", "/etc/cluster_ip_rules.fw"} <= set(files.pop("node1"))
    assert files == {"node2": [], "node3": []}
    as_root(lab, "node3", "rm /usr/local/bin/k3s")


FIREWALLS = {
    "node1": (
        "iptables -t raw -A PREROUTING -p tcp --dport 6443 -j DROP",
        "iptables -t mangle -A FORWARD -s 192.168.2.0/24 -j DROP",
        "iptables -A OUTPUT -p udp --dport 8472 -j REJECT",
        "iptables -A INPUT -p igmp -j DROP",
    ),
    "node2": (
        """nft 'table inet own { chain input { type filter hook input priority 0; policy drop;
        iif lo accept; tcp dport 22 accept; ct state established accept; }; }'""",
    ),
    "node3": (
        "iptables -A INPUT -p tcp -m multiport --ports 22 -j ACCEPT",
        "iptables -P INPUT DROP",
        "iptables -P FORWARD DROP",
    ),
}
NO_RULES = """for t in filter mangle raw; do iptables -t $t -F; done
iptables -P INPUT ACCEPT; iptables -P FORWARD ACCEPT; nft delete table inet own 2>/dev/null || :"""


def follow_remedy(lab: Lab, node: str, words: str) -> None:
    """Run the command that a warning of the firewall check names."""
    remedy = re.search(r"Allow it: `(.+)`\. \(PRE060\)$", words)
    assert remedy, words
    ok(lab.ssh(node, "sh -e", stdin=remedy[1]))


def test_a_dropped_flow_passes_after_the_remedy(lab: Lab) -> None:
    for node, commands in FIREWALLS.items():
        as_root(lab, node, *commands)
    run = pyinfra(lab, "-y", deploys=PREFLIGHT)
    assert run.status == 0, run.output
    for node in NODES:
        words = row(run, node, "firewall")
        assert words.startswith(f"warning: on {node} "), words
        follow_remedy(lab, node, words)
    run = pyinfra(lab, "-y", deploys=PREFLIGHT)
    for node in NODES:
        assert row(run, node, "firewall").startswith("OK: no rule drops"), run.output
        as_root(lab, node, NO_RULES)


def test_ufw_accepts_what_the_remedy_allows(lab: Lab) -> None:
    as_root(
        lab,
        "node1",
        "apt-get -qq update >/dev/null 2>&1",
        "DEBIAN_FRONTEND=noninteractive apt-get -qq install -y ufw >/dev/null 2>&1",
        "ufw allow 22/tcp; ufw default deny routed; ufw --force enable",
    )
    words = row(pyinfra(lab, "-y", deploys=PREFLIGHT), "node1", "firewall")
    assert words.startswith("warning: "), words
    assert codes(words) == ["PRE060"]
    assert "INPUT" in words
    assert "`sudo ufw prepend allow in on eth0 proto tcp from 192.168.2.0/24" in words
    follow_remedy(lab, "node1", words)
    words = row(pyinfra(lab, "-y", deploys=PREFLIGHT), "node1", "firewall")
    assert words == "OK: no rule drops the cluster's traffic"
    as_root(lab, "node1", "ufw --force disable; apt-get -qq purge -y ufw >/dev/null 2>&1")


def test_every_check_has_its_fault() -> None:
    faulty = {check for faults in FAULTS.values() for check in faults}
    assert faulty == CHECKS.keys()


def test_every_fault_is_found(lab: Lab) -> None:
    """The last one here: the nodes are left with all their faults."""
    twin = [
        says(path, ok(lab.console("node3", ["cat", path])) + "\n")
        for path in ("/sys/class/net/eth0/address", "/etc/machine-id")
    ]
    for node, faults in FAULTS.items():
        as_root(lab, node, *(fault.make for fault in faults.values()))
    as_root(lab, "node2", *twin)
    data = ("--data", "memory_cgroup=true", "--data", "image_archives=null")
    run = pyinfra(lab, "-y", *data, deploys=PREFLIGHT)
    assert run.status != 0
    wrong = [
        (node, check, said)
        for node, faults in FAULTS.items()
        for check, fault in faults.items()
        if not re.match(fault.status, said := row(run, node, check))
        or any(words not in said for words in fault.words)
    ]
    assert wrong == [], run.output
    for node in NODES:
        assert ["PRE001"] in [codes(line) for line in run.lines(node)]
