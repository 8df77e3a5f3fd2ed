"""The results of preflight checks: status, code of the message, and its values."""

# The table of cases stays in one piece, a line a case.
# ruff: noqa: E501

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.api import FactProcessError
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeHost, FakeState

import runs
from facts import cgroup, resolv_conf, swap
from facts.files import FileState
from facts.interfaces import InterfacesFiles, InterfacesState
from facts.kubeadm import ControlPlaneState, MemberState
from facts.leftovers import LeftoversState
from facts.networks import Networks
from facts.node_record import RecordState
from facts.resolv_conf import Resolver
from formats.iptables import parse_save
from formats.node_record import Entry, NodeRecord
from messages import codes
from messages import preflight as messages
from operations import kubeadm, preflight
from operations.preflight import checks
from operations.preflight.firewall import Findings, evaluate
from operations.preflight.firewall.flows import Site
from operations.preflight.firewall.iptables_rules import base_chains
from operations.preflight.node import Node
from operations.preflight.results import Result, count, table
from tests.operations.preflight_nodes import (
    ABSENT,
    ARCHIVE,
    FINISHED,
    JOINED,
    REGISTRY,
    cluster,
    file,
    observed,
    results,
)


@pytest.fixture(autouse=True)
def a_run() -> Iterator[None]:
    """What a check finds belongs to a host."""
    with ctx_host.use(FakeHost(None, "node1", {}, {})):
        yield


INTERFACES: InterfacesState = observed("node1")[InterfacesFiles]
RESOLVER: resolv_conf.ResolverState = observed("node1")[Resolver]
MINE = FileState("file", "644", "root", "root", "auto eth0\niface eth0 inet dhcp\n")
SILENT = "no answer in 3 s"
PASSES = "no rule drops the cluster's traffic"
UNNAMED = "Could not resolve 'pkgs.k8s.io'"


def in_filter(*lines: str, policy: str = "ACCEPT") -> str:
    """iptables-save with these rules in the table filter."""
    chains = (
        f":INPUT {policy} [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:KUBE-X - [0:0]\n"
    )
    return f"*filter\n{chains}" + "".join(f"{line}\n" for line in lines) + "COMMIT\n"


def nft_chain(
    hook: str,
    end: str,
    policy: str = "accept",
    family: str = "inet",
    table: str = "own",
    **more: str,
) -> str:
    """What nft lists of a table with one chain, which has one rule."""
    place = {"family": family, "table": table}
    base = {"type": "filter", "hook": hook.lower(), "prio": 0, "policy": policy, **more}
    entries = [
        {"table": {"family": family, "name": table}},
        {"chain": {**place, "name": hook, "handle": 1, **base}},
        {"rule": {**place, "chain": hook, "handle": 1, "expr": [{end: None}]}},
    ]
    return json.dumps({"nftables": entries})


def cmdline(text: str | None) -> dict[str, Any]:
    files = dict.fromkeys(cgroup.FILES, ABSENT)
    return files if text is None else {**files, cgroup.FIRMWARE_CMDLINE: file(text)}


def link_to(place: str) -> resolv_conf.ResolverState:
    files = {**RESOLVER.files, resolv_conf.PATH: FileState("link", text=place)}
    return replace(RESOLVER, real=place, files=files)


def reach(**answers: dict[str, str]) -> dict[str, dict[str, str]]:
    """What is in reach of a worker, but for what is given."""
    address = {"192.168.2.11:22": "", "192.168.2.11:6443": "Connection refused"}
    whole = {"address": address, "archive": {ARCHIVE: ""}, "registry": {REGISTRY: ""}}
    return {**whole, **answers}


def test_a_freshly_flashed_board_passes() -> None:
    nodes = cluster()
    for name in nodes:
        assert {each.status for each in results(nodes, name).values()} == {"OK"}, results(
            nodes, name
        )


def test_a_check_declares_no_resource() -> None:
    state = FakeState()
    nodes = cluster()
    with ctx_state.use(state):
        for name in nodes:
            results(nodes, name)
    works = runs.of(state).record._work.values()
    assert [work.resources for work in works if work.resources] == []


def test_a_mistake_in_a_check_fails_only_the_node_that_it_is_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(node: Node, project: object) -> None:
        if node.name == "node2":
            raise ZeroDivisionError("a mistake")

    monkeypatch.setitem(checks.CHECKS, "disk", broken)
    nodes = cluster()
    assert {each.status for each in results(nodes, "node1").values()} == {"OK"}
    result = results(nodes, "node2")["disk"]
    assert result.status == "failure"
    assert codes(result.text) == ["RUN013"]
    assert "ZeroDivisionError in tests/operations/test_preflight.py" in result.text


# check, node, what is changed, status, code and values
CASES: list[tuple[str, str, dict[str, Any], str, tuple[str, ...]]] = [
    ("architecture", "node2", {"userland": "armhf"}, "failure", ("armhf on a 64-bit kernel", "(NOD002)")),
    ("system", "node2", {"version": "11", "system_name": "Debian 11"}, "failure", ("PRE021", "Debian 11 ")),
    ("system", "node2", {"system": "devuan", "system_name": "Devuan"}, "warning", ("PRE020", "Devuan ")),
    ("system", "node2", {"version": ""}, "OK", ("Debian",)),
    ("memory", "node1", {"memory_mb": 906}, "failure", ("PRE022", "906 MB", "1700 MB", 'ignore_preflight_errors = ["Mem"] in group_data/all.py')),
    ("memory", "node1", {"memory_mb": 906, "ignored": ["NumCPU"]}, "failure", ("PRE022", '["NumCPU", "Mem"]')),
    ("memory", "node1", {"memory_mb": 906, "ignored": ["mem"]}, "warning", ("PRE023", "906 MB", "1700 MB")),
    ("memory", "node1", {"memory_mb": 906, "ignored": ["all"]}, "warning", ("PRE023",)),
    ("memory", "node1", {"memory_mb": 906, "control_plane": FINISHED}, "warning", ("PRE022", "906 MB")),
    ("memory", "node2", {"memory_mb": 906}, "OK", ("906 MB",)),
    ("memory", "node2", {"memory_mb": 416}, "warning", ("PRE024", "416 MB")),
    ("processors", "node1", {"processors": 1}, "failure", ("PRE025", "1 processor", "requires 2", '["NumCPU"]')),
    ("processors", "node1", {"processors": 1, "ignored": ["NumCPU"]}, "warning", ("PRE026", "1 processor")),
    ("processors", "node2", {"processors": 1}, "OK", ("1",)),
    ("disk", "node2", {"free_mb": 300}, "failure", ("KUB052", "300 MB", "700 MB", "apt-get clean")),
    ("disk", "node2", {"free_mb": 300, "member": JOINED}, "warning", ("PRE028", "300 MB")),
    ("disk", "node2", {"free_mb": 2500, "disk_mb": 29000}, "warning", ("PRE029", "2500 of 29000 MB", "15 %")),
    ("disk", "node2", {"read_only": ["/", "/var"]}, "failure", ("PRE027", "/ and /var ")),
    ("SD card", "node1", {"sync_ms": 180.0}, "warning", ("PRE031", "180 ms", "etcd")),
    ("SD card", "node2", {"sync_ms": 180.0}, "warning", ("PRE031", "180 ms", "pods")),
    ("SD card", "node2", {"sync_ms": None}, "warning", ("PRE030",)),
    ("memory cgroup", "node2", {"cgroup": cgroup.CgroupState("off", "", cmdline("console=tty1\n"))}, "warning", ("PRE040", "adds cgroup_enable=memory to /boot/firmware/cmdline.txt")),
    ("memory cgroup", "node2", {"cgroup": cgroup.CgroupState("off", "", cmdline("a cgroup_enable=memory\n"))}, "warning", ("PRE041", "/boot/firmware/cmdline.txt")),
    ("memory cgroup", "node2", {"cgroup": cgroup.CgroupState("off", "", cmdline('a "b\n'))}, "failure", ("(NOD022)", 'a "b')),
    ("memory cgroup", "node2", {"cgroup": cgroup.CgroupState("off", "", cmdline(None))}, "failure", ("(NOD020)",)),
    ("memory cgroup", "node2", {"cgroup": cgroup.CgroupState("off", "", cmdline(None)), "memory_cgroup": False}, "OK", ("memory_cgroup = False",)),
    ("swap", "node2", {"in_use": ["/dev/zram0"], "rpi_swap": True}, "OK", ("on (/dev/zram0, turned on by rpi-swap): the run turns it off",)),
    ("swap", "node2", {"swap": swap.SwapState(["/dev/zram0"], 0, 900, False, ["zram.service"], [], dict.fromkeys(swap.FILES, ABSENT), by_service=True, by_zram_service=True)}, "OK", ("turned on by zram.service): the run turns it off permanently",)),
    ("swap", "node2", {"swap": swap.SwapState(["/var/swap", "/dev/zram0"], 0, 900, False, ["x.service"], [], dict.fromkeys(swap.FILES, ABSENT), by_service=True)}, "warning", ("swap on /dev/zram0 may", "(NOD013)")),
    ("swap", "node2", {"in_use": ["/dev/zram0"]}, "warning", ("on (/dev/zram0): the run turns it off; ", "(NOD013)")),
    ("swap", "node2", {"in_use": ["/dev/zram0", "/swapfile"], "accounted": ["/swapfile"]}, "warning", ("swap on /dev/zram0 may", "(NOD013)")),
    ("resolv.conf", "node2", {"text": "# generated by tailscale\nnameserver 100.100.100.100\n"}, "failure", ("'# generated by tailscale'", "(NET033)")),
    ("swap", "node2", {"scripts": ["/etc/rc.local"]}, "warning", ("/etc/rc.local", "(NOD012)")),
    ("swap", "node2", {"swap": swap.SwapState([], 0, 900, False, [], [], {swap.FSTAB: file("/swap none swap sw 0 0\n"), swap.RPI_SWAP: ABSENT})}, "OK", ("off until the next boot (/etc/fstab)",)),
    ("swap", "node2", {"in_use": ["/swapfile"], "used_kb": 409600, "available_kb": 102400}, "failure", ("400 MB", "100 MB", "(NOD010)")),
    ("clock", "node2", {"ahead": -7200, "synchronized": False}, "warning", ("PRE042", "2 hours behind this computer's")),
    ("clock", "node2", {"ahead": -7200}, "failure", ("(NOD031)",)),
    ("clock", "node2", {"services": []}, "OK", ("systemd-timesyncd, which the run turns on",)),
    ("host name", "node2", {"hostname": "node3"}, "warning", ("PRE011", "hostname node3 ", "to node2;")),
    ("host name", "node2", {"hostname": "raspberrypi"}, "OK", ("raspberrypi: the run sets node2",)),
    ("hardware addresses", "node2", {"hardware": {"eth0": "dc:a6:3:eth0"}}, "failure", ("PRE012", "eth0 has the hardware address dc:a6:3:eth0", "eth0 of node3")),
    ("hardware addresses", "node2", {"hardware": {"eth0": "dc:a6:2", "docker0": "dc:a6:3:eth0"}}, "OK", ("dc:a6:2",)),
    ("machine-id", "node2", {"machine_id": "3" * 32}, "failure", ("node3", "(NOD004)")),
    ("machine-id", "node2", {"machine_id": ""}, "failure", ("'empty'", "(NOD003)")),
    ("same machine", "node2", {"boot": "boot-3"}, "failure", ("PRE010", "node2 and node3 ")),
    ("interfaces", "node1", {"interfaces": {**INTERFACES, "files": {"/etc/network/interfaces.d/mine": MINE, "/etc/network/interfaces": FileState("file", "644", "root", "root", "source /etc/network/interfaces.d/*\n")}}}, "failure", ("/etc/network/interfaces.d/mine", "(NET009)")),
    ("interfaces", "node1", {"interfaces": {**INTERFACES, "links": {"lo": INTERFACES["links"]["lo"], "eth0": INTERFACES["links"]["eth0"], "wlan1": INTERFACES["links"]["eth0"]}}}, "failure", ("wlan0", "interface to wlan1", "(NET005)")),
    ("interfaces", "node1", {"interfaces": {**INTERFACES, "pending": "eth0"}}, "failure", ("eth0", "(NET020)")),
    ("interfaces", "node1", {"networkd": ["eth0"]}, "failure", ("PRE050", "eth0")),
    ("interfaces", "node1", {"interfaces": {**INTERFACES, "up": ["eth0"]}}, "OK", ("eth0: ifupdown; wlan0: NetworkManager, then ifupdown",)),
    ("resolv.conf", "node2", {"resolver": link_to("/run/elsewhere")}, "failure", ("link to /run/elsewhere", "(NET032)")),
    ("resolv.conf", "node2", {"immutable": True}, "failure", ("(NET036)",)),
    ("resolv.conf", "node2", {"text": "nameserver 8.8.8.8\n"}, "OK", ("as the settings say",)),
    ("networks", "node2", {"addresses": {"docker0": ["10.244.0.1/16"]}}, "failure", ("PRE051", "docker0 is on 10.244.0.0/16", "pod_network 10.244.0.0/16", "another pod_network")),
    ("networks", "node2", {"routes": {"tun0": ["10.0.0.0/8"]}, "member": JOINED}, "warning", ("PRE051", "tun0 is on 10.0.0.0/8")),
    ("networks", "node1", {"addresses": {"wlan0": ["192.168.2.40/24"]}}, "failure", ("PRE051", "wlan0 is on 192.168.2.0/24", "cluster_network 192.168.2.0/24")),
    ("networks", "node1", {"addresses": {"wlan9": ["192.168.2.40/24"]}, "record": RecordState(NodeRecord({"interface wlan9": Entry()}))}, "OK", ("no overlap",)),
    ("networks", "node1", {"routes": {"tun0": ["0.0.0.0/1", "128.0.0.0/1"], "cni0": ["10.244.0.0/24"]}}, "OK", ("no overlap",)),
    ("networks", "node2", {"addresses": {"wlan0": ["192.168.2.40/24"]}}, "warning", ("PRE051", "wlan0 is on 192.168.2.0/24", "take wlan0 down")),
    ("iptables", "node1", {"other": "*filter\n-A INPUT -j DROP\nCOMMIT\n"}, "failure", ("iptables-legacy", "(NET052)")),
    ("iptables", "node2", {"other": "*filter\n-A INPUT -j DROP\nCOMMIT\n"}, "warning", ("(NET052)",)),
    ("iptables", "node1", {"backend": None}, "OK", ("not installed yet",)),
    ("firewall", "node1", {"rules": in_filter("-A INPUT -p tcp -m tcp --dport 6443 -j DROP")}, "warning", ("PRE060", "on node1 `-A INPUT -p tcp -m tcp --dport 6443 -j DROP` (iptables, table filter, chain INPUT) drops 6443/tcp from node2 (192.168.2.12)", "`sudo iptables -I INPUT -i eth0 -s 192.168.2.0/24 -p tcp --dport 6443 -j ACCEPT")),
    ("firewall", "node2", {"rules": in_filter("-A INPUT -p udp -m multiport --dports 53,8000:8500 -j REJECT --reject-with icmp-port-unreachable")}, "warning", ("PRE060", "8000:8500", "drops 8472/udp from node1 (192.168.2.11), 8472/udp from node3 (192.168.2.13). ")),
    ("firewall", "node2", {"rules": in_filter("-A FORWARD -s 10.244.0.0/16 -j DROP")}, "warning", ("PRE060", "-s 10.244.0.0/16", "53/udp from pod to pod")),
    ("firewall", "node2", {"rules": in_filter("-A INPUT -i eth+ -j DROP")}, "warning", ("PRE060", "-i eth+", "the answer to 6443/tcp to node1")),
    ("firewall", "node2", {"rules": in_filter("-A KUBE-X -p udp -j DROP", "-A INPUT -j KUBE-X")}, "warning", ("PRE060", "`-A KUBE-X -p udp -j DROP` (iptables, table filter, chain KUBE-X)",)),
    ("firewall", "node2", {"rules": in_filter("-A OUTPUT -d 192.168.2.11/32 -p tcp -j DROP")}, "warning", ("PRE060", "6443/tcp to node1 (192.168.2.11)", "sudo iptables -I OUTPUT -o eth0 -d 192.168.2.0/24 -p tcp --dport 6443 -j ACCEPT")),
    ("firewall", "node2", {"rules": in_filter(policy="DROP")}, "warning", ("PRE060", "the policy of INPUT (iptables, table filter) drops the answer to 6443/tcp to node1 (192.168.2.11), 10250/tcp from node1 (192.168.2.11), 8472/udp from node1",)),
    ("firewall", "node2", {"rules": "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -s 192.168.2.11/32 -p tcp -m tcp --sport 6443 -j DROP\nCOMMIT\n"}, "warning", ("PRE060", "table raw, chain PREROUTING", "the answer to 6443/tcp", "sudo iptables -t raw -I PREROUTING -i eth0 -s 192.168.2.0/24 -p tcp --sport 6443 -j ACCEPT")),
    ("firewall", "node2", {"rules": "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 10.96.0.0/12 -j DROP\nCOMMIT\n"}, "warning", ("PRE060", "drops 53/udp from its pods to services. ", "`sudo iptables -t raw -I PREROUTING -s 10.244.0.0/16 -j ACCEPT`",)),
    ("firewall", "node1", {"rules": "*mangle\n:FORWARD DROP [0:0]\nCOMMIT\n"}, "warning", ("PRE060", "table mangle", "80/tcp from node2 (192.168.2.12) to the internet", "-t mangle -I FORWARD -i eth0 -o wlan0 -s 192.168.2.0/24 -p tcp -m multiport --dports 80,443 -j ACCEPT")),
    ("firewall", "node2", {"other": in_filter("-A INPUT -p udp -j DROP")}, "warning", ("PRE060", "(iptables-legacy, table filter, chain INPUT)", "`sudo iptables-legacy -I INPUT")),
    ("firewall", "node2", {"rules": in_filter("-A INPUT -m mac --mac-source dc:a6:32:00:00:01 -j DROP"), "hardware": {"eth0": "dc:a6:32:00:00:02"}}, "OK", (PASSES,)),
    ("firewall", "node2", {"rules": in_filter("-A INPUT -m mac --mac-source dc:a6:1:eth0 -j DROP")}, "warning", ("PRE060", "dc:a6:1:eth0", "8472/udp from node1 (192.168.2.11). ")),
    ("firewall", "node2", {"ruleset": nft_chain("input", "drop")}, "warning", ("PRE060", "`handle 1` (nft, table inet own, chain input)", "`sudo nft 'insert rule inet own input")),
    ("firewall", "node2", {"ruleset": nft_chain("input", "drop"), "listing": "table inet own { # handle 2\n\tchain input { # handle 1\n\t\tcounter drop # handle 1\n"}, "warning", ("PRE060", "`counter drop` (nft, table inet own, chain input)",)),
    ("firewall", "node2", {"ruleset": nft_chain("ingress", "drop", family="netdev")}, "OK", ("uncertain: `handle 1`",)),
    ("firewall", "node2", {"ruleset": nft_chain("ingress", "drop", family="netdev", dev="eth0")}, "warning", ("PRE060", "nft, table netdev own", "'insert rule netdev own ingress ip saddr 192.168.2.0/24 tcp dport { 10250 } accept'")),
    ("firewall", "node2", {"ruleset": nft_chain("ingress", "drop", family="netdev", dev="eth1")}, "OK", (PASSES,)),
    ("firewall", "node2", {"ruleset": nft_chain("input", "drop").replace('[{"drop"', '[{"match": {"op": "!=", "left": {"ct": {"key": "state"}}, "right": {"|": ["established", "related"]}}}, {"drop"')}, "warning", ("PRE060", "the answer to 6443/tcp",)),
    ("firewall", "node2", {"ruleset": nft_chain("input", "drop").replace('[{"drop"', '[{"match": {"op": "==", "left": {"ct": {"key": "state"}}, "right": {"|": ["new", "invalid"]}}}, {"drop"')}, "OK", (PASSES,)),
    ("firewall", "node2", {"ruleset": nft_chain("input", "drop").replace('"name": "own"}', '"name": "own", "flags": ["dormant"]}')}, "OK", (PASSES,)),
    ("firewall", "node2", {"ruleset": nft_chain("input", "accept", policy="drop")}, "OK", (PASSES,)),
    ("firewall", "node2", {"ruleset": nft_chain("forward", "counter", policy="drop", family="bridge")}, "OK", (PASSES,)),
    ("firewall", "node2", {"ruleset": nft_chain("postrouting", "counter", policy="drop", family="bridge")}, "warning", ("PRE060", "the policy of postrouting (nft, table bridge own)",)),
    ("firewall", "node2", {"ruleset": nft_chain("INPUT", "drop", family="ip", table="filter"), "rules": in_filter()}, "OK", (PASSES,)),
    ("firewall", "node2", {"ruleset": nft_chain("INPUT", "drop", family="ip", table="filter"), "rules": "# Table `filter' is incompatible, use 'nft' tool.\n"}, "warning", ("PRE060", "nft, table ip filter",)),
    ("firewall", "node2", {"ruleset": nft_chain("INPUT", "drop", family="ip", table="filter"), "backend": None}, "warning", ("PRE060", "nft, table ip filter",)),
    ("firewall", "node2", {"nft": "absent"}, "OK", (PASSES, "nftables' own tables are unknown (nft is not installed)")),
    ("firewall", "node2", {"nft": "Error: JSON support not compiled-in"}, "OK", ("(Error: JSON support not compiled-in)",)),
    ("firewall", "node2", {"ruleset": "[]"}, "OK", ("own tables are unknown (nft's list is not understood",)),
    *[("firewall", "node2", {"rules": in_filter(rule)}, "OK", ("uncertain: `-A INPUT -m",)) for rule in (
        "-A INPUT -m set --match-set f2b-sshd src -j REJECT --reject-with icmp-port-unreachable",
        "-A INPUT -m recent --update --seconds 60 --name x --mask 255.255.255.255 --rsource -j DROP",
        "-A INPUT -m string --string \"-j ACCEPT\" --algo bm -j DROP",
        "-A INPUT -m nobody-knows-it --nor 5 --this -j DROP",
        "-A INPUT -m comment --comment \"its target\" -j NOBODYKNOWS",
    )],
    ("firewall", "node1", {"rules": "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 23 -j DROP\nCOMMIT\n"}, "OK", (PASSES,)),
    *[("firewall", "node1", {"rules": in_filter(rule)}, "OK", (PASSES,)) for rule in (
        "-A FORWARD -s 10.9.9.9/32 -m comment --comment \"not ours\" -j DROP",
        "-A INPUT -p tcp -m tcp --dport 23 -j DROP",
        "-A INPUT -i wlan0 -j DROP",
        "-A FORWARD -m conntrack --ctstate INVALID -j DROP",
        "-A KUBE-X ! -s 127.0.0.0/8 -d 127.0.0.0/8 -j DROP",
        "-A INPUT -p tcp -m tcp --dport 6443 -j ACCEPT",
        "-A INPUT -p igmp -j DROP",
        "-A INPUT -p 112 -m set --match-set anything src -j DROP",
        "-A INPUT -d 224.0.0.0/4 -j DROP",
        "-A INPUT -m pkttype --pkt-type broadcast -j DROP",
        "-A INPUT -m addrtype --dst-type BROADCAST,MULTICAST -j DROP",
        "-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN FIN,SYN -j DROP",
        "-A INPUT -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP",
        "-A INPUT -p tcp -m multiport --dports 22 -m set --match-set f2b-sshd src -j REJECT --reject-with icmp-port-unreachable",
        "-A INPUT -m iprange --src-range 172.16.0.1-172.31.255.254 -j DROP",
        "-A INPUT ! -i lo -p tcp -m tcp --dport 2379:2380 -j DROP",
        "-A INPUT -s 127.0.0.0/8 ! -i lo -j DROP",
        "-A INPUT -m mark --mark 0x8000/0x8000 -j DROP",
        "-A OUTPUT -p tcp -m tcp --dport 25 -j REJECT --reject-with icmp-port-unreachable",
        "-A FORWARD -i docker0 -o br-1234 -j DROP",
    )],
    ("firewall", "node1", {"rules": in_filter("-A INPUT -i eth0 -s 192.168.2.0/24 -j ACCEPT", "-A INPUT -p tcp -m tcp --dport 10250 ! -i lo -j DROP")}, "OK", (PASSES,)),
    ("firewall", "node1", {"rules": in_filter("-A INPUT -i wlan0 -p tcp -m tcp ! --dport 22 -j DROP")}, "warning", ("PRE060", "drops 6443/tcp from this computer. ", "`sudo iptables -I INPUT -i wlan0 -p tcp --dport 6443 -j ACCEPT && ")),
    ("firewall", "node1", {"rules": in_filter("-A INPUT -i wlan0 -s 192.168.7.0/24 -p tcp -m tcp --dport 6443 -j DROP")}, "OK", (PASSES,)),
    ("firewall", "node1", {"rules": in_filter().replace("FORWARD ACCEPT", "FORWARD DROP")}, "OK", (PASSES,)),
    ("ports", "node1", {"listeners": {"6443": "nginx", "2379": ""}}, "failure", ("PRE072", "6443 (nginx), 2379 (an unknown program)")),
    ("ports", "node1", {"listeners": {"6443": "nginx"}, "ignored": ["Port-6443"]}, "warning", ("PRE072", "6443 (nginx)")),
    ("ports", "node1", {"listeners": {"6443": "kube-apiserver"}, "control_plane": FINISHED}, "OK", ("this node's Kubernetes",)),
    ("ports", "node1", {"listeners": {"8080": "java"}, "ports": {"8080": "kubectl_proxy_port"}}, "failure", ("PRE070", "java", "port 8080,", "kubectl_proxy_port")),
    ("ports", "node1", {"listeners": {"8080": "kubectl"}, "ports": {"8080": "kubectl_proxy_port"}}, "OK", ("free",)),
    ("ports", "node2", {"listeners": {"6443": "nginx"}}, "OK", ("free",)),
    ("ports", "node1", {"listeners": {"5142": "java"}, "downloads": "node1"}, "warning", ("PRE077", "java", "5142")),
    ("ports", "node1", {"listeners": {"5142": "nginx"}, "downloads": "node1"}, "OK", ("free",)),
    ("ports", "node2", {"listeners": {"5142": "java"}, "downloads": "node1"}, "OK", ("free",)),
    ("ports", "node2", {"listeners": {"10250": "k3s"}}, "failure", ("PRE072", "10250 (k3s)")),
    ("ports", "node2", {"listeners": {"8081": "unifi"}}, "warning", ("PRE071", "unifi", "port 8081")),
    ("earlier cluster", "node1", {"distributions": ["k3s"]}, "failure", ("PRE073", "k3s,", "sudo k3s-uninstall.sh")),
    ("earlier cluster", "node1", {"control_plane": ControlPlaneState("half-finished", missing=("/etc/kubernetes/admin.conf",))}, "failure", ("KUB007", "kubeadm reset -f")),
    ("earlier cluster", "node1", {"control_plane": ControlPlaneState("half-finished", missing=("/etc/kubernetes/manifests/etcd.yaml",), upgrading=True)}, "failure", ("UPG015", "deploys/upgrade.py")),
    ("earlier cluster", "node1", {"control_plane": ControlPlaneState("half-finished", files=("/var/lib/etcd/member",), missing=("/etc/kubernetes/admin.conf", "/etc/kubernetes/manifests/etcd.yaml"))}, "failure", ("KUB087", "`sudo rm -f /etc/kubernetes/admin.conf /etc/kubernetes/manifests/etcd.yaml && sudo kubeadm init phase kubeconfig all --config /etc/kubernetes/kubeadm-config.yaml && sudo kubeadm init phase etcd local ")),
    ("earlier cluster", "node1", {"control_plane": ControlPlaneState("worker")}, "failure", ("KUB005",)),
    ("earlier cluster", "node1", {"control_plane": ControlPlaneState("not answering")}, "warning", ("PRE074",)),
    ("earlier cluster", "node1", {"control_plane": FINISHED, "leftovers": LeftoversState([], ["10-flannel.conflist"], ["cni0", "flannel.1"])}, "OK", ("none",)),
    ("earlier cluster", "node1", {"leftovers": LeftoversState([], ["10-flannel.conflist"], ["cni0", "flannel.1"])}, "warning", ("PRE076", "left /etc/cni/net.d/10-flannel.conflist and the interfaces cni0, flannel.1", "`sudo rm /etc/cni/net.d/10-flannel.conflist && sudo reboot`")),
    ("earlier cluster", "node1", {"rules": in_filter().replace("KUBE-X", "KUBE-SVC-X")}, "warning", ("PRE076", "left kube-proxy's rules", "`sudo reboot`")),
    ("earlier cluster", "node1", {"control_plane": FINISHED, "leftovers": LeftoversState([], ["05-cilium.conflist"], [])}, "warning", ("PRE075", "05-cilium.conflist", "sudo rm /etc/cni/net.d/05-cilium.conflist")),
    ("earlier cluster", "node2", {"member": MemberState("half-joined", files=("/etc/kubernetes/pki/ca.crt",))}, "failure", ("KUB009",)),
    ("earlier cluster", "node2", {"member": MemberState("control plane")}, "failure", ("KUB008",)),
    ("control plane", "node2", {"reach": reach(address={"192.168.2.11:22": SILENT})}, "failure", ("PRE052", "node1 (192.168.2.11)", "no answer")),
    ("control plane", "node2", {"reach": reach(address={"192.168.2.11:22": "Connection refused"})}, "OK", ("node1 answers",)),
    ("control plane", "node2", {"reach": reach(address={"192.168.2.11:22": SILENT}), "addresses": {"eth0": ["192.168.2.77/24"]}}, "OK", ("not checked: node1 or this node does not have its address yet",)),
    ("control plane", "node2", {"reach": reach(address={"192.168.2.11:22": SILENT}), "member": JOINED}, "warning", ("PRE052",)),
    ("package servers", "node1", {"reach": reach(archive={ARCHIVE: SILENT})}, "failure", ("PRE054", "pkgs.k8s.io (no answer")),
    ("package servers", "node1", {"reach": reach(archive={ARCHIVE: SILENT}), "control_plane": FINISHED}, "warning", ("PRE054", "pkgs.k8s.io (")),
    ("package servers", "node1", {"reach": reach(archive={ARCHIVE: UNNAMED})}, "warning", ("PRE054", "Could not resolve")),
    ("package servers", "node1", {"reach": reach(archive={ARCHIVE: UNNAMED}), "text": "nameserver 8.8.8.8\n"}, "failure", ("PRE054", "Could not resolve")),
    ("package servers", "node1", {"reach": reach(archive={ARCHIVE: SILENT}), "default": []}, "warning", ("PRE054",)),
    ("package servers", "node2", {"reach": reach(archive={ARCHIVE: SILENT})}, "OK", ("not reachable yet: the run sets the default route, by node1",)),
    ("registries", "node1", {"reach": reach(registry={REGISTRY: UNNAMED})}, "warning", ("PRE055", "registry.k8s.io (Could not resolve")),
    ("registries", "node2", {"reach": reach(registry={REGISTRY: SILENT})}, "OK", ("not reachable yet",)),
    ("registries", "node1", {"registries": []}, "OK", ("image_archives",)),
    ("earlier cluster", "node2", {"member": JOINED}, "failure", ("KUB010", "another cluster (https://kubernetes-api:6443), not that of node1", "kubeadm reset -f")),
]  # fmt: skip


@pytest.fixture(autouse=True)
def nobody_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    run = SimpleNamespace(failed_hosts=[])
    monkeypatch.setattr("operations.preflight.kubernetes.state", run)


@pytest.mark.parametrize(
    ("check", "node", "parts", "status", "words"),
    CASES,
    ids=[f"{case[0]}-{case[3]}-{number}" for number, case in enumerate(CASES)],
)
def test_a_check(
    check: str, node: str, parts: dict[str, Any], status: str, words: tuple[str, ...]
) -> None:
    result = results(cluster(node, **parts), node)[check]
    assert result.status == status, result
    code, *values = words if words[0].startswith("PRE") else ("", *words)
    assert code == "" or codes(result.text) == [code]
    assert bool(codes(result.text)) == (status != "OK"), result.text
    assert [each for each in values if each not in result.text] == [], result.text


def test_a_worker_with_a_default_route_is_warned_of_what_it_cannot_reach() -> None:
    nodes = cluster("node2", reach=reach(archive={ARCHIVE: SILENT}))
    rules = "*nat\n:BRAMBLE-POSTROUTING - [0:0]\nCOMMIT\n"
    nodes["node1"] = cluster("node1", rules=rules)["node1"]
    result = results(nodes, "node2")["package servers"]
    assert (result.status, codes(result.text)) == ("warning", ["PRE054"])
    assert "pkgs.k8s.io" in result.text


def test_a_worker_that_does_not_reach_the_api_server_can_not_join() -> None:
    nodes = cluster(
        "node2", reach=reach(address={"192.168.2.11:22": "", "192.168.2.11:6443": SILENT})
    )
    assert results(nodes, "node2")["control plane"].status == "OK"  # there is none yet
    nodes["node1"] = cluster("node1", control_plane=FINISHED)["node1"]
    result = results(nodes, "node2")["control plane"]
    assert (result.status, codes(result.text)) == ("failure", ["PRE053"])
    assert "(192.168.2.11:6443)" in result.text


def test_a_worker_that_asked_before_the_api_server_started_goes_on() -> None:
    refused = {"192.168.2.11:22": "", "192.168.2.11:6443": "Connection refused"}
    nodes = cluster("node2", reach=reach(address=refused))
    nodes["node1"] = cluster("node1", control_plane=FINISHED)["node1"]
    result = results(nodes, "node2")["control plane"]
    assert (result.status, codes(result.text)) == ("warning", ["PRE056"])


def test_a_worker_of_this_cluster_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kubeadm, "key_hash", lambda ca: ca)
    nodes = cluster("node2", member=JOINED)
    nodes["node1"] = cluster("node1", control_plane=FINISHED)["node1"]
    assert results(nodes, "node2")["earlier cluster"].status == "OK"
    nodes["node1"] = cluster("node1", control_plane=replace(FINISHED, ca="another"))["node1"]
    assert results(nodes, "node2")["earlier cluster"].status == "failure"


def test_a_worker_alone_in_a_run_is_checked_by_what_is_known() -> None:
    nodes = {"node2": cluster("node2", member=JOINED)["node2"]}
    assert {each.status for each in results(nodes, "node2").values()} == {"OK"}


def test_without_sudo_nothing_else_is_checked() -> None:
    said = results(cluster("node2", sudo="sudo: a password is required"), "node2")
    assert list(said) == ["sudo"]
    assert said["sudo"].status == "failure"
    assert codes(said["sudo"].text) == ["PRE003"]
    for words in ("sudo: a password is required", "'pi ALL=(ALL) NOPASSWD: ALL'"):
        assert words in said["sudo"].text


def test_what_could_not_be_read_is_a_warning_with_the_reason() -> None:
    said = results(cluster("node2", iptables=FactProcessError("no memory")), "node2")
    assert said["iptables"].text == messages.UNREAD(reason="no memory")
    assert {said["iptables"].status, said["firewall"].status} == {"warning"}
    assert said["swap"].status == "OK"


def test_the_hardware_address_of_a_node_that_could_not_be_read_is_unknown() -> None:
    rule = "-A INPUT -m mac --mac-source dc:a6:32:00:00:01 -j DROP"
    alone = {"node2": cluster("node2", rules=in_filter(rule))["node2"]}
    said = results(alone, "node2")["firewall"]
    assert (said.status, "uncertain: " in said.text) == ("OK", True)


@pytest.mark.parametrize(
    ("node", "parts"),
    [case[1:3] for case in CASES if case[4][-1] == PASSES],
)
def test_what_certainly_passes_is_not_called_uncertain(node: str, parts: dict[str, Any]) -> None:
    said = results(cluster(node, **parts), node)["firewall"].text
    assert said == PASSES


def test_the_table_counts_and_has_a_line_for_each_check() -> None:
    nodes = cluster("node1", memory_mb=906, sync_ms=120.0, processors=1)
    found = results(nodes)
    said = list(found.values())
    assert count(said) == f"{len(said)} checks: 1 warning, 2 failures"
    assert count(said[:2]) == "2 checks, all OK"
    assert count(said[:1]) == "1 check, all OK"
    title, *lines = table(nodes["node1"], found)
    assert title == f"node1 (control plane, gateway, Raspberry Pi 4 Model B Rev 1.4): {count(said)}"
    assert len(lines) == len(said)
    (memory,) = (line for line in lines if " memory  " in line)
    assert memory.startswith("failure  memory  ")
    assert codes(memory) == ["PRE022"]


def test_the_checks_of_a_node_run_once_for_the_same_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules of a firewall take seconds on a small computer."""
    nodes, asked = cluster(), list[str]()
    monkeypatch.setitem(checks.CHECKS, "firewall", lambda node, _: asked.append(node.name))
    run = preflight._Gathered({"node1": nodes["node1"]})
    assert run.check("node1") is run.check("node1")
    run.nodes["node2"] = nodes["node2"]  # which may share something with it
    assert run.check("node1") is run.check("node1")
    assert asked == ["node1", "node1"]


def test_the_gateway_lets_the_operator_pass_to_a_control_plane_behind_it() -> None:
    """Its own rules do; one of others before them, or in another table, is named."""
    site = Site("node2", "192.168.2.12", "eth0", "192.168.2.0/24", "10.244.0.0/16", "10.96.0.0/12",
                {"node1": "192.168.2.11"}, {"node1": "192.168.2.11"}, uplink="wlan0",
                uplink_network="192.168.1.0/24")  # fmt: skip
    closed = "*mangle\n:FORWARD ACCEPT [0:0]\n-A FORWARD -i wlan0 -p tcp -m tcp --dport {} -j DROP\nCOMMIT\n"
    found = [
        evaluate(base_chains("iptables", parse_save(closed.format(port))), site)
        for port in (6443, 23)
    ]
    assert "drops 6443/tcp from this computer to node1 (192.168.2.11)" in found[0].dropped
    assert found[0].command == (
        "sudo iptables -t mangle -I FORWARD -i wlan0 -o eth0 -d 192.168.2.0/24"
        " -p tcp --dport 6443 -j ACCEPT && sudo iptables -t mangle -I FORWARD"
        " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    )
    assert found[1].dropped == ""


PLANES = {"node1": "192.168.2.11", "node2": "192.168.2.12", "node3": "192.168.2.13"}


@pytest.mark.parametrize(
    ("rule", "dropped", "command"),
    [
        ("-A INPUT -p tcp -m tcp --dport 2380 -j DROP", "2380/tcp from node2 (192.168.2.12)",
         "-I INPUT -i eth0 -s 192.168.2.0/24 -p tcp --dport 2380 -j ACCEPT"),
        ("-A OUTPUT -p tcp -m tcp --dport 2379 -j DROP", "2379/tcp to node2 (192.168.2.12)",
         "-I OUTPUT -o eth0 -d 192.168.2.0/24 -p tcp --dport 2379 -j ACCEPT"),
        ("-A INPUT -p vrrp -j DROP", "vrrp from node2 (192.168.2.12)",
         "-I INPUT -i eth0 -s 192.168.2.0/24 -p vrrp -j ACCEPT"),
        ("-A INPUT -p 112 -j DROP", "vrrp from node3 (192.168.2.13)",
         "-I INPUT -i eth0 -s 192.168.2.0/24 -p vrrp -j ACCEPT"),
        ("-A INPUT -d 192.168.2.10/32 -p tcp -j DROP",
         "6443/tcp to 192.168.2.10 from node2", "--dport 6443 -j ACCEPT"),
        ("-A OUTPUT -d 192.168.2.10/32 -p tcp -j DROP",
         "6443/tcp to 192.168.2.10, held by node2", "--dport 6443 -j ACCEPT"),
    ],
)  # fmt: skip
def test_control_planes_exchange_etcds_traffic_and_vrrp(
    rule: str, dropped: str, command: str
) -> None:
    def findings(**changed: Any) -> Findings:
        site = Site("node1", "192.168.2.11", "eth0", "192.168.2.0/24", "10.244.0.0/16",
                    "10.96.0.0/12", PLANES, {n: PLANES[n] for n in ("node2", "node3")},
                    common_address="192.168.2.10")  # fmt: skip
        tables = parse_save(f"*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{rule}\nCOMMIT\n")
        return evaluate(base_chains("iptables", tables), replace(site, **changed))

    assert dropped in findings().dropped
    assert command in findings().command
    alone = {"control_planes": {"node1": "192.168.2.11"}, "common_address": None}
    assert dropped not in findings(**alone).dropped


def test_nft_is_told_the_protocol_that_has_no_ports() -> None:
    chain = nft_chain("input", "drop").replace(
        '[{"drop"',
        '[{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "protocol"}},'
        ' "right": 112}}, {"drop"',
    )
    nodes = {
        name: replace(node, desired=replace(node.desired, control_planes=PLANES,
                                            common_address="192.168.2.10"))
        for name, node in cluster("node1", ruleset=chain).items()
    }  # fmt: skip
    found = results(nodes)["firewall"].text
    assert "drops vrrp from node2 (192.168.2.12), vrrp from node3 (192.168.2.13)" in found
    assert (
        'insert rule inet own input iifname "eth0" ip saddr 192.168.2.0/24 ip protocol vrrp accept'
        in found
    )


def test_the_address_of_control_planes_belongs_to_one_of_them() -> None:
    def found(answer: str, **addresses: list[str]) -> Result:
        nodes = cluster("node1", reach={"address": {"192.168.2.10:22": answer}})
        for name, node in nodes.items():
            desired = replace(node.desired, control_planes=PLANES, common_address="192.168.2.10")
            own = node.facts[Networks]
            more = {**own.addresses, "eth0": own.addresses["eth0"] + addresses.get(name, [])}
            facts = {**node.facts, Networks: replace(own, addresses=more)}
            nodes[name] = replace(node, desired=desired, facts=facts)
        assert "control plane address" not in results(nodes, "node2")
        return results(nodes)["control plane address"]

    held = ["192.168.2.10/32"]
    assert found("No route to host").text == "nobody has 192.168.2.10"
    assert found("Connection refused").status == "failure"
    assert codes(found("").text) == ["PRE078"]
    assert found("", node3=held).text == "held by node3"
    twice = found("", node1=held, node3=held)
    assert (twice.status, codes(twice.text)) == ("warning", ["PRE079"])


def test_it_says_that_a_majority_of_the_control_planes_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one away the others go on: its API server is starting, or its own etcd is not well."""

    def found(*away: str, state: str = "not answering", are_gone: bool = True) -> Result:
        failed = [SimpleNamespace(name=name) for name in away if are_gone]
        run = SimpleNamespace(failed_hosts=failed)
        monkeypatch.setattr("operations.preflight.kubernetes.state", run)
        here = {"control_plane": ControlPlaneState(state), "control_planes": PLANES}  # type: ignore[arg-type]
        nodes = cluster("node1", **here)
        return results({name: node for name, node in nodes.items() if name not in away})[
            "earlier cluster"
        ]

    assert codes(found("node3").text) == ["PRE074"]
    left_out = found("node3", "node2", are_gone=False)  # by --limit
    assert codes(left_out.text) == ["PRE074"]
    two = found("node3", "node2")
    assert (two.status, codes(two.text)) == ("failure", ["KUB086"])
    assert "2 of 3 control planes do not answer (node2, node3), and etcd needs 2 of" in two.text
    assert found("node3", "node2", state="finished").status == "OK"


@pytest.mark.parametrize(
    ("name", "downloads", "dropped"),
    [
        ("node1", "node1", "drops 5142/tcp from node2 (192.168.2.12)"),
        ("node2", "node1", ""),
        ("node1", None, ""),
    ],
)
def test_the_node_that_keeps_downloads_lets_the_others_in(
    name: str, downloads: str | None, dropped: str
) -> None:
    own, other = ("11", "12") if name == "node1" else ("12", "11")
    peers = {"node2" if name == "node1" else "node1": f"192.168.2.{other}"}
    site = Site(name, f"192.168.2.{own}", "eth0", "192.168.2.0/24", "10.244.0.0/16",
                "10.96.0.0/12", {"node1": "192.168.2.11"}, peers, downloads=downloads)  # fmt: skip
    closed = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --dport 5142 -j DROP\nCOMMIT\n"
    found = evaluate(base_chains("iptables", parse_save(closed)), site)
    assert dropped in found.dropped
    assert bool(found.dropped) == bool(dropped)
