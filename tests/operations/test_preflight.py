"""What preflight says of a node, check by check: its status, and the words with the remedy."""

# The table of cases stays in one piece, a line a case.
# ruff: noqa: E501

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeHost, FakeState

import runs
from facts import cgroup, resolv_conf, swap
from facts.files import FileState
from facts.interfaces import InterfacesFile
from facts.kubeadm import ControlPlaneState, MemberState
from facts.leftovers import LeftoversState
from operations import kubeadm, preflight
from operations.preflight import judgement
from operations.preflight.rows import Node, known
from operations.preflight.table import count, table
from tests.operations.preflight_nodes import (
    ABSENT,
    ARCHIVE,
    FINISHED,
    JOINED,
    REGISTRY,
    desk,
    file,
    found,
    rows,
)


@pytest.fixture(autouse=True)
def a_run() -> Iterator[None]:
    """What a check finds belongs to a host."""
    with ctx_host.use(FakeHost(None, "node1", {}, {})):
        yield


INTERFACES = known(found("node1").interfaces)
RESOLVER = known(found("node1").resolver)
MINE = InterfacesFile("file", "644", "root", "root", "auto eth0\niface eth0 inet dhcp\n")
SILENT = "no answer in 3 s"
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


def test_a_board_as_it_comes_from_the_flasher_is_fit() -> None:
    nodes = desk()
    for name in nodes:
        assert {row.status for row in rows(nodes, name).values()} == {"OK"}, rows(nodes, name)


def test_looking_keeps_nothing_as_it_shall_be() -> None:
    state = FakeState()
    nodes = desk()
    with ctx_state.use(state):
        for name in nodes:
            rows(nodes, name)
    works = runs.of(state).record._work.values()
    assert [work.resources for work in works if work.resources] == []


def test_a_mistake_in_a_check_is_a_failure_of_the_node_that_it_is_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(node: Node, desk: object) -> None:
        if node.name == "node2":
            raise ZeroDivisionError("a mistake")

    monkeypatch.setitem(judgement.CHECKS, "disk", broken)
    nodes = desk()
    assert {row.status for row in rows(nodes, "node1").values()} == {"OK"}
    row = rows(nodes, "node2")["disk"]
    assert row.status == "failure"
    assert "unexpected ZeroDivisionError in tests/operations/test_preflight.py" in row.words


# check, node, what is otherwise, status, words
CASES: list[tuple[str, str, dict[str, Any], str, tuple[str, ...]]] = [
    ("architecture", "node2", {"userland": "armhf"}, "failure", ("armhf on a 64-bit kernel", "(NOD002)")),
    ("system", "node2", {"version": "11", "system_name": "Debian 11"}, "failure", ("Debian 11 is too old", "write Raspberry Pi OS")),
    ("system", "node2", {"system": "devuan", "system_name": "Devuan"}, "warning", ("Devuan: nobody has tried",)),
    ("system", "node2", {"version": ""}, "OK", ("Debian",)),
    ("memory", "node1", {"memory_mb": 906}, "failure", ("906 MB", "1700 MB of a control plane", "2 GB", 'ignore_preflight_errors = ["Mem"] in group_data/all.py')),
    ("memory", "node1", {"memory_mb": 906, "ignored": ["NumCPU"]}, "failure", ('["NumCPU", "Mem"]',)),
    ("memory", "node1", {"memory_mb": 906, "ignored": ["mem"]}, "warning", ("lets it go on", "slow, or run out")),
    ("memory", "node1", {"memory_mb": 906, "ignored": ["all"]}, "warning", ("lets it go on",)),
    ("memory", "node1", {"memory_mb": 906, "control_plane": FINISHED}, "warning", ("906 MB",)),
    ("memory", "node2", {"memory_mb": 906}, "OK", ("906 MB",)),
    ("memory", "node2", {"memory_mb": 416}, "warning", ("416 MB", "little of it to pods")),
    ("processors", "node1", {"processors": 1}, "failure", ("1, and kubeadm wants 2 of a control plane", '["NumCPU"]')),
    ("processors", "node1", {"processors": 1, "ignored": ["NumCPU"]}, "warning", ("slow",)),
    ("processors", "node2", {"processors": 1}, "OK", ("1",)),
    ("disk", "node2", {"free_mb": 300}, "failure", ("disk is full: 300 MB", "700 MB are wanted", "apt-get clean")),
    ("disk", "node2", {"free_mb": 300, "member": JOINED}, "warning", ("300 MB are free", "larger card")),
    ("disk", "node2", {"free_mb": 2500, "disk_mb": 29000}, "warning", ("2500 of 29000 MB", "below 15 %")),
    ("disk", "node2", {"read_only": ["/", "/var"]}, "failure", ("/ and /var can't be written", "new card")),
    ("SD card", "node1", {"sync_ms": 180.0}, "warning", ("after 180 ms", "etcd loses its leader", "A1 or A2")),
    ("SD card", "node2", {"sync_ms": 180.0}, "warning", ("pods start late",)),
    ("SD card", "node2", {"sync_ms": None}, "warning", ("df -h /var/tmp",)),
    ("memory cgroup", "node2", {"cgroup": cgroup.CgroupState("off", "", cmdline("console=tty1\n"))}, "warning", ("adds cgroup_enable=memory to /boot/firmware/cmdline.txt", "reboots this node, once")),
    ("memory cgroup", "node2", {"cgroup": cgroup.CgroupState("off", "", cmdline("a cgroup_enable=memory\n"))}, "warning", ("turns it on: the run reboots",)),
    ("memory cgroup", "node2", {"cgroup": cgroup.CgroupState("off", "", cmdline('a "b\n'))}, "failure", ("(NOD022)", 'a "b')),
    ("memory cgroup", "node2", {"cgroup": cgroup.CgroupState("off", "", cmdline(None))}, "failure", ("(NOD020)",)),
    ("memory cgroup", "node2", {"cgroup": cgroup.CgroupState("off", "", cmdline(None)), "memory_cgroup": False}, "OK", ("not asked for",)),
    ("swap", "node2", {"in_use": ["/dev/zram0"], "rpi_swap": True}, "OK", ("on (/dev/zram0, turned on by rpi-swap): the run turns it off",)),
    ("swap", "node2", {"swap": swap.SwapState(["/dev/zram0"], 0, 900, False, ["zram.service"], [], dict.fromkeys(swap.FILES, ABSENT), by_service=True, by_zram_service=True)}, "OK", ("turned on by zram.service): the run turns it off permanently",)),
    ("swap", "node2", {"swap": swap.SwapState(["/var/swap", "/dev/zram0"], 0, 900, False, ["x.service"], [], dict.fromkeys(swap.FILES, ABSENT), by_service=True)}, "warning", ("swap on /dev/zram0 may", "(NOD013)")),
    ("swap", "node2", {"in_use": ["/dev/zram0"]}, "warning", ("on (/dev/zram0): the run turns it off; ", "(NOD013)")),
    ("swap", "node2", {"in_use": ["/dev/zram0", "/swapfile"], "accounted": ["/swapfile"]}, "warning", ("swap on /dev/zram0 may", "(NOD013)")),
    ("resolv.conf", "node2", {"text": "# generated by tailscale\nnameserver 100.100.100.100\n"}, "failure", ("'# generated by tailscale'", "(NET033)")),
    ("swap", "node2", {"scripts": ["/etc/rc.local"]}, "warning", ("/etc/rc.local", "(NOD012)")),
    ("swap", "node2", {"swap": swap.SwapState([], 0, 900, False, [], [], {swap.FSTAB: file("/swap none swap sw 0 0\n"), swap.RPI_SWAP: ABSENT})}, "OK", ("off until the next boot (/etc/fstab)",)),
    ("swap", "node2", {"in_use": ["/swapfile"], "used_kb": 409600, "available_kb": 102400}, "failure", ("400 MB", "100 MB", "(NOD010)")),
    ("clock", "node2", {"ahead": -7200, "synchronised": False}, "warning", ("2 hours behind this computer's", "timedatectl")),
    ("clock", "node2", {"ahead": -7200}, "failure", ("(NOD031)",)),
    ("clock", "node2", {"services": []}, "OK", ("the run lets systemd-timesyncd",)),
    ("host name", "node2", {"hostname": "node3"}, "warning", ("node3, as node3: the run calls this one node2", "copy")),
    ("host name", "node2", {"hostname": "raspberrypi"}, "OK", ("raspberrypi: the run calls it node2",)),
    ("hardware addresses", "node2", {"hardware": {"eth0": "dc:a6:3:eth0"}}, "failure", ("its eth0 has the hardware address dc:a6:3:eth0, as node3's eth0", "grep -ri mac")),
    ("hardware addresses", "node2", {"hardware": {"eth0": "dc:a6:2", "docker0": "dc:a6:3:eth0"}}, "OK", ("dc:a6:2",)),
    ("machine-id", "node2", {"machine_id": "3" * 32}, "failure", ("node3", "(NOD004)")),
    ("machine-id", "node2", {"machine_id": ""}, "failure", ("'empty'", "(NOD003)")),
    ("same machine", "node2", {"boot": "boot-3"}, "failure", ("node2 and node3 are one machine", "inventory.py")),
    ("interfaces", "node1", {"interfaces": {**INTERFACES, "files": {"/etc/network/interfaces.d/mine": MINE, "/etc/network/interfaces": InterfacesFile("file", "644", "root", "root", "source /etc/network/interfaces.d/*\n")}}}, "failure", ("/etc/network/interfaces.d/mine", "(NET009)")),
    ("interfaces", "node1", {"interfaces": {**INTERFACES, "links": {"lo": INTERFACES["links"]["lo"], "eth0": INTERFACES["links"]["eth0"], "wlan1": INTERFACES["links"]["eth0"]}}}, "failure", ("wlan0", "interface to wlan1", "(NET005)")),
    ("interfaces", "node1", {"interfaces": {**INTERFACES, "pending": "eth0"}}, "failure", ("eth0", "(NET020)")),
    ("interfaces", "node1", {"networkd": ["eth0"]}, "warning", ("systemd-networkd has eth0", "/etc/systemd/network")),
    ("interfaces", "node1", {"interfaces": {**INTERFACES, "up": ["eth0"]}}, "OK", ("eth0: ifupdown; wlan0: NetworkManager, then ifupdown",)),
    ("resolv.conf", "node2", {"resolver": link_to("/run/elsewhere")}, "failure", ("link to /run/elsewhere", "(NET032)")),
    ("resolv.conf", "node2", {"immutable": True}, "failure", ("(NET036)",)),
    ("resolv.conf", "node2", {"text": "nameserver 8.8.8.8\n"}, "OK", ("as the settings say",)),
    ("networks", "node2", {"addresses": {"docker0": ["10.244.0.1/16"]}}, "failure", ("docker0 is on 10.244.0.0/16, and pod_network is 10.244.0.0/16", "choose another pod_network")),
    ("networks", "node2", {"routes": {"tun0": ["10.0.0.0/8"]}, "member": JOINED}, "warning", ("tun0 is on 10.0.0.0/8",)),
    ("networks", "node1", {"addresses": {"wlan0": ["192.168.2.40/24"]}}, "failure", ("wlan0 is on 192.168.2.0/24, and cluster_network",)),
    ("networks", "node1", {"routes": {"tun0": ["0.0.0.0/1", "128.0.0.0/1"], "cni0": ["10.244.0.0/24"]}}, "OK", ("none",)),
    ("networks", "node2", {"addresses": {"wlan0": ["192.168.2.40/24"]}}, "warning", ("wlan0 is on 192.168.2.0/24, and cluster_network", "take wlan0 down")),
    ("iptables", "node1", {"other": "*filter\n-A INPUT -j DROP\nCOMMIT\n"}, "failure", ("iptables-legacy", "(NET052)")),
    ("iptables", "node2", {"other": "*filter\n-A INPUT -j DROP\nCOMMIT\n"}, "warning", ("(NET052)",)),
    ("iptables", "node1", {"backend": None}, "OK", ("not installed yet",)),
    ("firewall", "node1", {"rules": in_filter("-A INPUT -p tcp -m tcp --dport 6443 -j DROP")}, "warning", ("on node1 `-A INPUT -p tcp -m tcp --dport 6443 -j DROP` (iptables, table filter, chain INPUT) drops 6443/tcp from node2 (192.168.2.12)", "`sudo iptables -I INPUT -i eth0 -s 192.168.2.0/24 -p tcp --dport 6443 -j ACCEPT")),
    ("firewall", "node2", {"rules": in_filter("-A INPUT -p udp -m multiport --dports 53,8000:8500 -j REJECT --reject-with icmp-port-unreachable")}, "warning", ("8000:8500", "drops 8472/udp from node1 (192.168.2.11), 8472/udp from node3 (192.168.2.13): ")),
    ("firewall", "node2", {"rules": in_filter("-A FORWARD -s 10.244.0.0/16 -j DROP")}, "warning", ("-s 10.244.0.0/16", "53/udp from pod to pod")),
    ("firewall", "node2", {"rules": in_filter("-A INPUT -i eth+ -j DROP")}, "warning", ("-i eth+", "the answer to 6443/tcp to node1")),
    ("firewall", "node2", {"rules": in_filter("-A KUBE-X -p udp -j DROP", "-A INPUT -j KUBE-X")}, "warning", ("`-A KUBE-X -p udp -j DROP` (iptables, table filter, chain KUBE-X)",)),
    ("firewall", "node2", {"rules": in_filter("-A OUTPUT -d 192.168.2.11/32 -p tcp -j DROP")}, "warning", ("6443/tcp to node1 (192.168.2.11)", "sudo iptables -I OUTPUT -o eth0 -d 192.168.2.0/24 -p tcp --dport 6443 -j ACCEPT")),
    ("firewall", "node2", {"rules": in_filter(policy="DROP")}, "warning", ("the policy of INPUT (iptables, table filter) drops the answer to 6443/tcp to node1 (192.168.2.11), 10250/tcp from node1 (192.168.2.11), 8472/udp from node1",)),
    ("firewall", "node2", {"rules": "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -s 192.168.2.11/32 -p tcp -m tcp --sport 6443 -j DROP\nCOMMIT\n"}, "warning", ("table raw, chain PREROUTING", "the answer to 6443/tcp", "sudo iptables -t raw -I PREROUTING -i eth0 -s 192.168.2.0/24 -p tcp --sport 6443 -j ACCEPT")),
    ("firewall", "node2", {"rules": "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 10.96.0.0/12 -j DROP\nCOMMIT\n"}, "warning", ("drops 53/udp from its pods to services: let it pass: `sudo iptables -t raw -I PREROUTING -s 10.244.0.0/16 -j ACCEPT`",)),
    ("firewall", "node1", {"rules": "*mangle\n:FORWARD DROP [0:0]\nCOMMIT\n"}, "warning", ("table mangle", "80/tcp from node2 (192.168.2.12) to the internet", "-t mangle -I FORWARD -i eth0 -o wlan0 -s 192.168.2.0/24 -p tcp -m multiport --dports 80,443 -j ACCEPT")),
    ("firewall", "node2", {"other": in_filter("-A INPUT -p udp -j DROP")}, "warning", ("(iptables-legacy, table filter, chain INPUT)", "`sudo iptables-legacy -I INPUT")),
    ("firewall", "node2", {"rules": in_filter("-A INPUT -m mac --mac-source dc:a6:32:00:00:01 -j DROP"), "hardware": {"eth0": "dc:a6:32:00:00:02"}}, "OK", ("no rule of others",)),
    ("firewall", "node2", {"rules": in_filter("-A INPUT -m mac --mac-source dc:a6:1:eth0 -j DROP")}, "warning", ("dc:a6:1:eth0", "8472/udp from node1 (192.168.2.11): let")),
    ("firewall", "node2", {"ruleset": nft_chain("input", "drop")}, "warning", ("`handle 1` (nft, table inet own, chain input)", "`sudo nft 'insert rule inet own input")),
    ("firewall", "node2", {"ruleset": nft_chain("input", "drop"), "listing": "table inet own { # handle 2\n\tchain input { # handle 1\n\t\tcounter drop # handle 1\n"}, "warning", ("`counter drop` (nft, table inet own, chain input)",)),
    ("firewall", "node2", {"ruleset": nft_chain("ingress", "drop", family="netdev")}, "OK", ("can't tell whether",)),
    ("firewall", "node2", {"ruleset": nft_chain("ingress", "drop", family="netdev", dev="eth0")}, "warning", ("nft, table netdev own", "'insert rule netdev own ingress ip saddr 192.168.2.0/24 tcp dport { 10250 } accept'")),
    ("firewall", "node2", {"ruleset": nft_chain("ingress", "drop", family="netdev", dev="eth1")}, "OK", ("no rule of others",)),
    ("firewall", "node2", {"ruleset": nft_chain("input", "drop").replace('[{"drop"', '[{"match": {"op": "!=", "left": {"ct": {"key": "state"}}, "right": {"|": ["established", "related"]}}}, {"drop"')}, "warning", ("the answer to 6443/tcp",)),
    ("firewall", "node2", {"ruleset": nft_chain("input", "drop").replace('[{"drop"', '[{"match": {"op": "==", "left": {"ct": {"key": "state"}}, "right": {"|": ["new", "invalid"]}}}, {"drop"')}, "OK", ("no rule of others",)),
    ("firewall", "node2", {"ruleset": nft_chain("input", "drop").replace('"name": "own"}', '"name": "own", "flags": ["dormant"]}')}, "OK", ("no rule of others",)),
    ("firewall", "node2", {"ruleset": nft_chain("input", "accept", policy="drop")}, "OK", ("no rule of others",)),
    ("firewall", "node2", {"ruleset": nft_chain("forward", "counter", policy="drop", family="bridge")}, "OK", ("no rule of others",)),
    ("firewall", "node2", {"ruleset": nft_chain("postrouting", "counter", policy="drop", family="bridge")}, "warning", ("the policy of postrouting (nft, table bridge own)",)),
    ("firewall", "node2", {"ruleset": nft_chain("INPUT", "drop", family="ip", table="filter"), "rules": in_filter()}, "OK", ("no rule of others",)),
    ("firewall", "node2", {"ruleset": nft_chain("INPUT", "drop", family="ip", table="filter"), "rules": "# Table `filter' is incompatible, use 'nft' tool.\n"}, "warning", ("nft, table ip filter",)),
    ("firewall", "node2", {"ruleset": nft_chain("INPUT", "drop", family="ip", table="filter"), "backend": None}, "warning", ("nft, table ip filter",)),
    ("firewall", "node2", {"nft": "absent"}, "OK", ("no rule of others", "nftables' own tables are not known (nft is not installed)")),
    ("firewall", "node2", {"nft": "Error: JSON support not compiled-in"}, "OK", ("(Error: JSON support not compiled-in)",)),
    ("firewall", "node2", {"ruleset": "[]"}, "OK", ("own tables are not known (nft's list is not understood",)),
    *[("firewall", "node2", {"rules": in_filter(rule)}, "OK", ("can't tell whether `-A INPUT -m",)) for rule in (
        "-A INPUT -m set --match-set f2b-sshd src -j REJECT --reject-with icmp-port-unreachable",
        "-A INPUT -m recent --update --seconds 60 --name x --mask 255.255.255.255 --rsource -j DROP",
        "-A INPUT -m string --string \"-j ACCEPT\" --algo bm -j DROP",
        "-A INPUT -m nobody-knows-it --nor 5 --this -j DROP",
        "-A INPUT -m comment --comment \"its target\" -j NOBODYKNOWS",
    )],
    ("firewall", "node1", {"rules": "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 23 -j DROP\nCOMMIT\n"}, "OK", ("no rule of others",)),
    *[("firewall", "node1", {"rules": in_filter(rule)}, "OK", ("no rule of others drops what the nodes say to each other",)) for rule in (
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
    ("firewall", "node1", {"rules": in_filter("-A INPUT -i eth0 -s 192.168.2.0/24 -j ACCEPT", "-A INPUT -p tcp -m tcp --dport 10250 ! -i lo -j DROP")}, "OK", ("no rule of others",)),
    ("firewall", "node1", {"rules": in_filter().replace("FORWARD ACCEPT", "FORWARD DROP")}, "OK", ("no rule of others",)),
    ("ports", "node1", {"listeners": {"6443": "nginx", "2379": ""}}, "failure", ("6443 is taken by nginx, 2379 is taken by a program", "ss -ltnp")),
    ("ports", "node1", {"listeners": {"6443": "nginx"}, "ignored": ["Port-6443"]}, "warning", ("6443 is taken",)),
    ("ports", "node1", {"listeners": {"6443": "kube-apiserver"}, "control_plane": FINISHED}, "OK", ("its own",)),
    ("ports", "node1", {"listeners": {"8080": "java"}, "ports": {"8080": "kubectl_proxy_port"}}, "failure", ("8080 is taken by java, and kubectl_proxy_port names it",)),
    ("ports", "node1", {"listeners": {"8080": "kubectl"}, "ports": {"8080": "kubectl_proxy_port"}}, "OK", ("free",)),
    ("ports", "node2", {"listeners": {"6443": "nginx"}}, "OK", ("free",)),
    ("ports", "node2", {"listeners": {"10250": "k3s"}}, "failure", ("10250 is taken by k3s",)),
    ("ports", "node2", {"listeners": {"8081": "unifi"}}, "warning", ("8081 is taken by unifi", "flannel")),
    ("earlier cluster", "node1", {"distributions": ["k3s"]}, "failure", ("k3s, a Kubernetes of its own", "k3s-uninstall.sh")),
    ("earlier cluster", "node1", {"control_plane": ControlPlaneState("half-finished", missing=("/etc/kubernetes/admin.conf",))}, "failure", ("kubeadm init was cut off here", "kubeadm reset -f")),
    ("earlier cluster", "node1", {"control_plane": ControlPlaneState("worker")}, "failure", ("joined a cluster as a worker",)),
    ("earlier cluster", "node1", {"control_plane": ControlPlaneState("not answering")}, "warning", ("the run waits for it",)),
    ("earlier cluster", "node1", {"control_plane": FINISHED, "leftovers": LeftoversState([], ["10-flannel.conflist"], ["cni0", "flannel.1"])}, "OK", ("none",)),
    ("earlier cluster", "node1", {"leftovers": LeftoversState([], ["10-flannel.conflist"], ["cni0", "flannel.1"])}, "warning", ("left /etc/cni/net.d/10-flannel.conflist and the interfaces cni0, flannel.1", "`sudo rm /etc/cni/net.d/10-flannel.conflist && sudo reboot`")),
    ("earlier cluster", "node1", {"rules": in_filter().replace("KUBE-X", "KUBE-SVC-X")}, "warning", ("left kube-proxy's rules: `sudo reboot`",)),
    ("earlier cluster", "node1", {"control_plane": FINISHED, "leftovers": LeftoversState([], ["05-cilium.conflist"], [])}, "warning", ("05-cilium.conflist is there, and containerd takes the first file",)),
    ("earlier cluster", "node2", {"member": MemberState("half-joined", files=("/etc/kubernetes/pki/ca.crt",))}, "failure", ("kubeadm join was cut off here",)),
    ("earlier cluster", "node2", {"member": MemberState("control plane")}, "failure", ("a control plane runs here",)),
    ("control plane", "node2", {"reach": reach(address={"192.168.2.11:22": SILENT})}, "failure", ("node1 (192.168.2.11) can't be reached from here: no answer", "cables and the switch")),
    ("control plane", "node2", {"reach": reach(address={"192.168.2.11:22": "Connection refused"})}, "OK", ("node1 answers",)),
    ("control plane", "node2", {"reach": reach(address={"192.168.2.11:22": SILENT}), "addresses": {"eth0": ["192.168.2.77/24"]}}, "OK", ("not asked: node1 and this node are yet to be given their addresses",)),
    ("control plane", "node2", {"reach": reach(address={"192.168.2.11:22": SILENT}), "member": JOINED}, "warning", ("can't be reached",)),
    ("package servers", "node1", {"reach": reach(archive={ARCHIVE: SILENT})}, "failure", ("pkgs.k8s.io can't be reached: no answer", "apt's proxy")),
    ("package servers", "node1", {"reach": reach(archive={ARCHIVE: SILENT}), "control_plane": FINISHED}, "warning", ("pkgs.k8s.io can't be reached",)),
    ("package servers", "node1", {"reach": reach(archive={ARCHIVE: UNNAMED})}, "warning", ("Could not resolve",)),
    ("package servers", "node1", {"reach": reach(archive={ARCHIVE: UNNAMED}), "text": "nameserver 8.8.8.8\n"}, "failure", ("Could not resolve",)),
    ("package servers", "node1", {"reach": reach(archive={ARCHIVE: SILENT}), "default": []}, "warning", ("`ip route`",)),
    ("package servers", "node2", {"reach": reach(archive={ARCHIVE: SILENT})}, "OK", ("not in reach yet: the run makes node1 its gateway",)),
    ("registries", "node1", {"reach": reach(registry={REGISTRY: UNNAMED})}, "warning", ("registry.k8s.io can't be reached: Could not resolve", "registry_mirrors or image_archives")),
    ("registries", "node2", {"reach": reach(registry={REGISTRY: SILENT})}, "OK", ("not in reach yet",)),
    ("registries", "node1", {"registries": []}, "OK", ("image_archives",)),
    ("earlier cluster", "node2", {"member": JOINED}, "failure", ("joined another cluster (https://kubernetes-api:6443), not that of node1", "kubeadm reset -f")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "node", "parts", "status", "words"),
    CASES,
    ids=[f"{case[0]}-{case[3]}-{number}" for number, case in enumerate(CASES)],
)
def test_a_check(
    check: str, node: str, parts: dict[str, Any], status: str, words: tuple[str, ...]
) -> None:
    row = rows(desk(node, **parts), node)[check]
    assert row.status == status, row
    assert [each for each in words if each not in row.words] == [], row.words


def test_a_worker_whose_way_out_is_there_is_told_what_it_does_not_reach() -> None:
    nodes = desk("node2", reach=reach(archive={ARCHIVE: SILENT}))
    rules = "*nat\n:BRAMBLE-POSTROUTING - [0:0]\nCOMMIT\n"
    nodes["node1"] = desk("node1", rules=rules)["node1"]
    row = rows(nodes, "node2")["package servers"]
    assert (row.status, "pkgs.k8s.io can't be reached" in row.words) == ("warning", True)


def test_a_worker_that_does_not_reach_the_api_server_can_not_join() -> None:
    nodes = desk("node2", reach=reach(address={"192.168.2.11:22": "", "192.168.2.11:6443": SILENT}))
    assert rows(nodes, "node2")["control plane"].status == "OK"  # there is none yet
    nodes["node1"] = desk("node1", control_plane=FINISHED)["node1"]
    row = rows(nodes, "node2")["control plane"]
    assert row.status == "failure"
    assert "its API server (192.168.2.11:6443) can't be reached from here: no answer" in row.words


def test_a_worker_of_the_control_planes_own_cluster_is_as_it_shall_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kubeadm, "key_hash", lambda ca: ca)
    nodes = desk("node2", member=JOINED)
    nodes["node1"] = desk("node1", control_plane=FINISHED)["node1"]
    assert rows(nodes, "node2")["earlier cluster"].status == "OK"
    nodes["node1"] = desk("node1", control_plane=replace(FINISHED, ca="another"))["node1"]
    assert rows(nodes, "node2")["earlier cluster"].status == "failure"


def test_a_worker_alone_in_a_run_is_judged_by_what_is_known() -> None:
    nodes = {"node2": desk("node2", member=JOINED)["node2"]}
    assert {row.status for row in rows(nodes, "node2").values()} == {"OK"}


def test_without_sudo_nothing_else_is_said() -> None:
    said = rows(desk("node2", sudo="sudo: a password is required"), "node2")
    assert list(said) == ["sudo"]
    assert said["sudo"].status == "failure"
    for words in ("pi has to give a password", "NOPASSWD: ALL", "/etc/sudoers.d/010_pi-nopasswd"):
        assert words in said["sudo"].words


def test_what_could_not_be_read_is_a_warning_with_the_reason() -> None:
    said = rows(desk("node2", iptables=None, unread={"iptables": "no memory"}), "node2")
    assert said["iptables"].words == "could not be looked at: no memory"
    assert {said["iptables"].status, said["firewall"].status} == {"warning"}
    assert said["swap"].status == "OK"


def test_the_hardware_address_of_a_node_that_was_not_looked_at_is_not_known() -> None:
    rule = "-A INPUT -m mac --mac-source dc:a6:32:00:00:01 -j DROP"
    alone = {"node2": desk("node2", rules=in_filter(rule))["node2"]}
    said = rows(alone, "node2")["firewall"]
    assert (said.status, "can't tell whether" in said.words) == ("OK", True)


@pytest.mark.parametrize(
    ("node", "parts"),
    [case[1:3] for case in CASES if case[4] and case[4][-1].startswith("no rule of others")],
)
def test_of_what_certainly_passes_no_doubt_is_said(node: str, parts: dict[str, Any]) -> None:
    said = rows(desk(node, **parts), node)["firewall"].words
    assert said == "no rule of others drops what the nodes say to each other"


def test_the_table_counts_and_has_a_line_for_each_check() -> None:
    nodes = desk("node1", memory_mb=906, sync_ms=120.0, processors=1)
    said = list(rows(nodes).values())
    assert count(said) == f"{len(said)} checks: 1 warning, 2 failures"
    assert count(said[:2]) == "2 checks, all OK"
    assert count(said[:1]) == "1 check, all OK"
    title, *lines = table(nodes["node1"], said)
    assert title == f"node1 (control plane, gateway, Raspberry Pi 4 Model B Rev 1.4): {count(said)}"
    assert len(lines) == len(said)
    (memory,) = (line for line in lines if " memory  " in line)
    assert memory.startswith("failure  memory  ")
    assert memory.endswith("or run out of memory")


@pytest.mark.parametrize("size", [None, 3])
def test_a_node_is_judged_once_all_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, size: int | None
) -> None:
    """While pyinfra prepares; what has failed is not waited for."""
    nodes, seen = desk(), dict[str, Any]()
    late = [("node1", nodes["node1"]), ("node2", nodes["node2"])]
    monkeypatch.setattr(preflight, "state", Hosts(size, failed=("node3",)))
    monkeypatch.setattr("gevent.sleep", lambda seconds: seen.update([late.pop(0)]))
    preflight._wait_for_all(seen)
    assert list(seen) == ["node1", "node2"]


def test_nobody_is_waited_for_who_can_not_be_looked_at_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preflight, "state", Hosts(size=1))
    preflight._wait_for_all({})


class Hosts:
    """Of pyinfra's state, who is there and how many of them at a time."""

    def __init__(self, size: int | None, failed: tuple[str, ...] = ()) -> None:
        self.pool = SimpleNamespace(size=size)
        self.activated_hosts = {Named(name) for name in ("node1", "node2", "node3")}
        self.failed_hosts = {Named(name) for name in failed}


class Named(NamedTuple):
    name: str
