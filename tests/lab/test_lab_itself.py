"""The lab is what it says: real nodes, fenced off from this machine and from the world."""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from lab import cgroup, debian_mirror, disk, firewall, host, network, plan, sysctl
from lab.api import Lab
from lab.errors import LabError
from lab.waiting import until

A_DAY = 24 * 3600
NOT_CONNECTED = 7  # of curl(1)'s exit codes; 28 is a time-out
NOT_PUBLIC = [ipaddress.ip_network(network) for network in firewall.NOT_PUBLIC]


def out(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


# --- the parts that need no node -----------------------------------------------------------------


def test_nodes_use_the_archives_of_the_hosts_apt() -> None:
    text = """Types: deb deb-src
# an old one
URIs: http://one.example/debian/
Suites: bookworm bookworm-updates bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/some.gpg

Types: deb
URIs: http://two.example/debian-security
Suites: bookworm-security
Enabled: yes

Types: deb
URIs: https://apt.example
Suites: nodistro
"""
    found = debian_mirror.choose(debian_mirror.parse_deb822(text))
    assert found.lines() == [
        "deb http://one.example/debian trixie main",
        "deb http://two.example/debian-security trixie-security main",
        "deb http://one.example/debian trixie-updates main",
    ]
    assert found.keyring == Path("/usr/share/keyrings/some.gpg")


def test_one_line_sources_are_understood_too() -> None:
    text = """# deb http://no.example/debian trixie main
deb-src http://no.example/debian trixie main
deb [arch=amd64 signed-by=/k.gpg] http://one.example/debian stable main contrib
"""
    assert debian_mirror.parse_one_line(text) == [
        debian_mirror.Source("http://one.example/debian", "stable", Path("/k.gpg"))
    ]


def test_wifi_becomes_a_cable_and_keeps_its_addresses() -> None:
    config = {
        "version": 2,
        "ethernets": {"eth0": {"addresses": ["192.168.2.11/24"]}},
        "wifis": {
            "wlan0": {
                "dhcp4": True,
                "regulatory-domain": "DE",
                "access-points": {"home": {"password": "not a secret"}},
            }
        },
    }
    assert yaml.safe_load(disk.without_wifi(yaml.safe_dump(config))) == {
        "version": 2,
        "ethernets": {"eth0": {"addresses": ["192.168.2.11/24"]}, "wlan0": {"dhcp4": True}},
    }


def test_the_last_lab_puts_the_hosts_sysctls_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    monkeypatch.setattr(sysctl, "_file", lambda name: tmp_path / name.replace("/", "."))
    forwarding, instances = (tmp_path / name.replace("/", ".") for name in sysctl.NEEDED)
    forwarding.write_text("0\n")
    instances.write_text("4096\n")
    for lab in ("one", "two", "one"):
        sysctl.borrow(lab)
    assert (forwarding.read_text(), instances.read_text()) == ("1\n", "4096\n")
    sysctl.give_back("one")
    assert forwarding.read_text() == "1\n"
    sysctl.give_back("two")
    sysctl.give_back("two")
    assert (forwarding.read_text(), instances.read_text()) == ("0\n", "4096\n")


def test_a_bad_lab_name_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="LAB010"):
        Lab(tmp_path, "No Such")


# --- the nodes -----------------------------------------------------------------------------------


def test_a_node_comes_up_as_the_cards_files_say(lab: Lab) -> None:
    for name, address in (("node1", "192.168.2.11"), ("node3", "192.168.2.13")):
        assert out(lab.ssh(name, "hostname")) == name
        assert f"{address}/24" in out(lab.ssh(name, "ip -4 -brief address show eth0"))
        assert out(lab.ssh(name, "id -un; sudo -n id -u")).split() == ["pi", "0"]
        assert out(lab.ssh(name, "systemctl is-system-running")) == "running"
        assert out(lab.ssh(name, "cloud-init status")) == "status: done"


def test_network_manager_is_in_charge_at_first(lab: Lab) -> None:
    devices = out(lab.ssh("node1", "nmcli -t -f device,state device")).splitlines()
    assert {"eth0:connected", "wlan0:connected"} <= set(devices)
    assert out(lab.ssh("node1", "sudo ifquery --state eth0; echo $?")) == "1"


def test_the_gateway_has_its_reserved_address_on_wlan0(lab: Lab) -> None:
    assert "192.168.1.32/24" in out(lab.ssh("node1", "ip -4 -brief address show wlan0"))


def test_nodes_are_known_before_the_first_contact(lab: Lab) -> None:
    strict = [
        "ssh",
        "-F",
        ".cluster/ssh_config",
        "-o",
        "StrictHostKeyChecking=yes",
        "node2",
        "true",
    ]
    assert lab.run(strict).returncode == 0


def test_each_node_is_a_machine_of_its_own(lab: Lab) -> None:
    names = [node.name for node in lab.plan.nodes]
    for what in ("/etc/machine-id", "/sys/class/net/eth0/address"):
        assert len({out(lab.ssh(name, f"cat {what}")) for name in names}) == len(names)


def test_names_resolve_and_packages_come_from_the_mirror(lab: Lab) -> None:
    assert "1 received" in out(lab.ssh("node1", "ping -c 1 -W 60 8.8.8.8"))
    fetched = out(lab.ssh("node1", "sudo apt-get update --error-on=any"))
    assert "trixie" in fetched
    uri = debian_mirror.choose(debian_mirror.read_sources()).sources[0].uri
    direct = f"curl -sS -o /dev/null -w '%{{http_code}}' {uri}/dists/trixie/InRelease"
    assert out(lab.ssh("node1", direct)) == "200"


def test_a_worker_has_no_way_out_but_the_gateway(lab: Lab) -> None:
    assert lab.ssh("node2", "ping -c 1 -W 1 192.168.1.1").returncode != 0


# --- the fences ----------------------------------------------------------------------------------


def test_root_on_a_node_cannot_touch_what_is_the_hosts(lab: Lab) -> None:
    watched = ["kernel/panic", "vm/swappiness", "vm/overcommit_memory", "kernel/hostname"]
    before = [Path("/proc/sys", name).read_text() for name in watched]
    swaps = Path("/proc/swaps").read_text()
    clock = time.time() - time.monotonic()
    for command in (
        "date -s 2020-01-01",
        "timedatectl set-time '2020-01-01 00:00:00'",
        "sysctl -w kernel.panic=77",
        "sysctl -w vm.swappiness=77",
        "sh -c 'echo 1 > /proc/sys/vm/overcommit_memory'",
        "sh -c 'truncate -s 8M /s && chmod 600 /s && mkswap -q /s && swapon /s'",
        "dmesg --clear",
    ):
        done = lab.ssh("node2", f"sudo {command}")
        assert done.returncode != 0, f"{command} succeeded on the node"
    assert before == [Path("/proc/sys", name).read_text() for name in watched]
    assert swaps == Path("/proc/swaps").read_text()
    assert abs(time.time() - time.monotonic() - clock) < A_DAY


def test_the_kubelet_can_open_the_kernels_log_where_the_host_restricts_it(lab: Lab) -> None:
    restrict = Path("/proc/sys/kernel/dmesg_restrict")
    with host.lock("dmesg-restrict"):  # it is this machine's, and others may test on it too
        before = restrict.read_text()
        restrict.write_text("1")
        try:
            assert lab.ssh("node2", "sudo sh -c ': < /dev/kmsg'").returncode == 0
        finally:
            restrict.write_text(before)


def test_systemd_manages_the_same_control_groups_at_each_boot(lab: Lab) -> None:
    looks = "ls -d /sys/fs/cgroup/*/init.scope /sys/fs/cgroup/init.scope 2>/dev/null; true"
    first = out(lab.ssh("node2", looks))
    assert first
    for _ in range(3):
        lab.reboot("node2")
        assert out(lab.ssh("node2", looks)) == first


def test_a_kubelets_control_group_stays(lab: Lab) -> None:
    """On cgroup v1 in each hierarchy but systemd's own; on v2 below the one that there is."""
    made = out(
        lab.ssh(
            "node2",
            r"""sudo sh -c '
            set -e
            for top in $(awk "\$3 ~ /^cgroup/ {print \$2}" /proc/self/mounts); do
              [ "$top" = /sys/fs/cgroup/systemd ] || mkdir "$top/kubepods.slice"
            done
            systemctl daemon-reload
            systemd-run --quiet --wait -p CPUWeight=50 -p MemoryMax=64M true
            for top in $(awk "\$3 ~ /^cgroup/ {print \$2}" /proc/self/mounts); do
              [ "$top" = /sys/fs/cgroup/systemd ] || rmdir "$top/kubepods.slice"
            done; echo all'""",
        )
    )
    assert made == "all"


def test_what_the_lab_adds_to_a_setting_is_added_to_what_the_files_say_now(
    lab: Lab,
) -> None:
    file = lab.project / "group_data" / "all.py"
    text = file.read_text()
    read = "import json, settings; print(json.dumps(settings.load().kube_proxy_config))"
    try:
        file.write_text(text + '\nkube_proxy_config = {"mode": "iptables"}\n')
        found = json.loads(out(lab.run(["python", "-c", read])))
        assert found == {"mode": "iptables", "conntrack": {"maxPerCore": 0}}
        file.write_text(text + "\nkube_proxy_config = 7\n")
        wrong = lab.run(["python", "-m", "settings"])
        assert wrong.returncode != 0
        assert "kube_proxy_config" in wrong.stdout + wrong.stderr
    finally:
        file.write_text(text)


def test_the_console_cannot_either(lab: Lab) -> None:
    clock = time.time() - time.monotonic()
    assert lab.console("node2", ["id", "-u"]).stdout.strip() == "0"
    for command in (
        ["date", "-s", "2020-01-01"],
        ["sysctl", "-w", "kernel.panic=77"],
        ["sh", "-c", "truncate -s 8M /s && chmod 600 /s && mkswap -q /s && swapon /s"],
        ["mount", "-o", "remount,rw", "/proc/sys"],
    ):
        assert lab.console("node2", command).returncode != 0, f"{command} succeeded"
    assert abs(time.time() - time.monotonic() - clock) < A_DAY


@contextmanager
def packets_to_the_host(lab: Lab) -> Iterator[set[ipaddress.IPv4Address]]:
    """The destinations of all that comes over the link from the lab's router to this machine."""
    seen: set[ipaddress.IPv4Address] = set()
    ipv4 = 0x0800
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ipv4)) as sniffer:
        sniffer.bind((network.host_link(lab.name), ipv4))
        sniffer.settimeout(0.3)
        yield seen
        while True:
            try:
                packet, (_, _, kind, *_) = sniffer.recvfrom(2048)
            except TimeoutError:
                return
            if kind != socket.PACKET_OUTGOING:
                seen.add(ipaddress.IPv4Address(packet[16:20]))


def test_nothing_for_a_private_address_leaves_the_lab(lab: Lab) -> None:
    targets = ["10.96.0.1", "10.244.1.7", "172.16.0.9", "192.168.77.1", "169.254.169.254"]
    with packets_to_the_host(lab) as seen:
        for target in targets:
            for request in (
                f"curl -sS -m 3 http://{target}/",
                f"curl -sS -m 3 --fail -x http://192.168.1.1:3142 http://{target}/",
                f"ping -c 1 -W 1 {target}",
            ):
                assert lab.ssh("node1", request).returncode != 0
        # The sniffer does see what may leave.
        name = ipaddress.IPv4Address("203.0.113.255")
        lab.ssh("node1", f"curl -sS -m 3 http://{name}/")
    assert name in seen
    resolver = ipaddress.IPv4Address(network.transfer_addresses(lab.plan)[0])
    private = {a for a in seen - {resolver} if any(a in net for net in NOT_PUBLIC)}
    assert not private


def test_only_dns_and_the_web_leave_the_lab(lab: Lab) -> None:
    elsewhere = "203.0.113.254"
    with packets_to_the_host(lab) as seen:
        for port in (22, 25, 6443):
            asked = lab.ssh("node1", f"curl -m 120 telnet://{elsewhere}:{port}")
            assert asked.returncode == NOT_CONNECTED, "rejected, not dropped: nobody waits"
    assert ipaddress.IPv4Address(elsewhere) not in seen


# --- the levers ----------------------------------------------------------------------------------


def boot_id(lab: Lab, name: str) -> str:
    return out(lab.ssh(name, "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1"))


def test_a_reboot_keeps_the_disk_and_the_cards(lab: Lab) -> None:
    lab.ssh("node2", "touch kept")
    before, mac = boot_id(lab, "node2"), out(lab.ssh("node2", "cat /sys/class/net/eth0/address"))
    lab.reboot("node2")
    assert boot_id(lab, "node2") != before
    assert out(lab.ssh("node2", "ls kept; cat /sys/class/net/eth0/address")).split() == [
        "kept",
        mac,
    ]


def test_reboot_from_inside_comes_back_by_itself(lab: Lab) -> None:
    before = boot_id(lab, "node3")
    lab.ssh("node3", "sudo systemctl reboot")

    def is_back() -> bool:
        done = lab.ssh("node3", "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1")
        return done.returncode == 0 and done.stdout.strip() != before

    assert until(is_back)
    assert until(lambda: lab.status()[2].status.state == "running")


def test_a_pulled_plug_and_back(lab: Lab) -> None:
    lab.ssh("node3", "touch kept; sync")
    lab.power_off("node3")
    assert [s.status.state for s in lab.status()] == ["running", "running", "off"]
    assert lab.ssh("node3", "true").returncode != 0
    with pytest.raises(LabError, match=r"node3 is off.*LAB023"):
        lab.console("node3", ["true"])
    lab.power_on("node3")
    assert out(lab.ssh("node3", "ls kept")) == "kept"


def test_a_cut_cable_stays_cut_over_a_reboot_until_mended(lab: Lab) -> None:
    lab.cut("node2", "eth0")
    assert lab.console("node2", ["cat", "/sys/class/net/eth0/carrier"]).stdout.strip() == "0"
    assert lab.ssh("node2", "true").returncode != 0
    lab.reboot("node2")
    assert lab.console("node2", ["cat", "/sys/class/net/eth0/operstate"]).stdout.strip() != "up"
    lab.mend("node2")
    assert until(lambda: lab.ssh("node2", "true").returncode == 0)


def test_fresh_is_a_first_boot(lab: Lab) -> None:
    lab.ssh("node2", "touch gone")
    before = out(lab.ssh("node2", "cat /etc/machine-id"))
    lab.fresh("node2")
    assert lab.ssh("node2", "ls gone").returncode != 0
    assert out(lab.ssh("node2", "cat /etc/machine-id")) != before


def test_up_again_changes_nothing(lab: Lab) -> None:
    before = lab.status()
    lab.up()
    assert lab.status() == before


def test_unknown_names_are_named(lab: Lab) -> None:
    with pytest.raises(LabError, match=r"found: node1, node2, node3.*LAB012"):
        lab.reboot("node9")
    with pytest.raises(LabError, match=r"found: eth0, wlan0.*LAB013"):
        lab.cut("node1", "eth7")


def test_allow_hotplug_interfaces_come_up_and_wifi_lines_do_no_harm(lab: Lab) -> None:
    stanza = (
        "auto wlan0\niface wlan0 inet dhcp\n    wpa-ssid home\n    wpa-psk password\n"
        "allow-hotplug eth0\niface eth0 inet static\n    address 192.168.2.11/24\n"
    )
    lab.ssh("node1", "sudo tee /etc/network/interfaces.d/both >/dev/null", stdin=stanza)
    lab.reboot("node1")
    try:
        up = set(out(lab.ssh("node1", "sudo ifquery --state")).split())
        assert {"wlan0=wlan0", "eth0=eth0"} <= up
        assert "is a cable" in out(lab.ssh("node1", "sudo journalctl -b -t lab -o cat"))
    finally:
        lab.fresh("node1")


# --- the other topology, and the end -------------------------------------------------------------


@pytest.fixture(scope="module")
def router_lab(new_lab: Callable[..., Lab]) -> Lab:
    inventory = (
        'control_plane = [("node1", {"address": "192.168.2.11"})]\n'
        'workers = [("node2", {"address": "192.168.2.12", "first_address": "192.168.2.150"})]\n'
    )
    lab: Lab = new_lab("router", inventory, topology="router")
    lab.up()
    return lab


def test_router_topology_has_one_network_with_everybody_on_it(router_lab: Lab) -> None:
    assert out(router_lab.ssh("node1", "ip -brief link | grep -c wlan0 || true")) == "0"
    assert "via 192.168.2.1 " in out(router_lab.ssh("node1", "ip route show default"))
    out(router_lab.ssh("node1", "sudo apt-get update --error-on=any"))


def test_a_node_with_a_first_address_gets_it_by_dhcp(router_lab: Lab) -> None:
    route = out(router_lab.ssh("node2", "ip route show default"))
    assert "proto dhcp src 192.168.2.150" in route


def traces() -> set[str]:
    """Whatever of a lab could stay on this machine, except for the caches."""
    links = {f"link {link['ifname']}" for link in json.loads(host.run(["ip", "-j", "link"]).stdout)}
    rules = {f"rules {line}" for line in host.run(["nft", "list", "tables"]).stdout.splitlines()}
    mounts = {f"mount {line}" for line in Path("/proc/self/mounts").read_text().splitlines()}
    spaces = {f"namespace {path.name}" for path in Path("/run/netns").glob("*")}
    groups = {f"group {folder}" for top in cgroup.hierarchies() for folder, _, _ in os.walk(top)}
    states = {f"state {path.name}" for path in (host.home() / "labs").glob("*")}
    processes = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_text(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if "nspawn" in words or "lab.supervisor" in words or "dnsmasq" in words:
            processes.add(f"process {words}")
    return links | rules | mounts | spaces | groups | states | processes


def belongs_to(trace: str, name: str) -> bool:
    marks = (name, name.replace("-", "_"), network.host_link(name))
    return any(mark in trace for mark in marks)


def test_down_leaves_no_trace_even_of_a_crash(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab("gone")
    before = {trace for trace in traces() if belongs_to(trace, lab.name)}
    assert not before
    known = lab.project / ".cluster" / "known_hosts"
    known.parent.mkdir(mode=0o700)
    known.write_text("a-board ssh-ed25519 AAAA\n")
    lab.up(workers=1)
    assert lab.name in sysctl._read()["labs"]
    during = {trace for trace in traces() if belongs_to(trace, lab.name)}
    assert {trace.split()[0] for trace in during} >= {
        "link", "rules", "namespace", "group", "state", "process",
    }  # fmt: skip
    for name in ("node1", "services"):
        part = f"{cgroup.root(lab.name)}/{name}"
        for pid in cgroup.pids(f"{part}/supervisor" if name != "services" else part):
            os.kill(pid, signal.SIGKILL)
    lab.down()
    assert not {trace for trace in traces() if belongs_to(trace, lab.name)}
    assert lab.name not in sysctl._read()["labs"]  # other labs may still need it
    assert known.read_text() == "a-board ssh-ed25519 AAAA\n"
    lab.down()
    assert not (host.home() / f"lab-{lab.name}.lock").exists()
    assert plan.load(lab.name) is None
    with pytest.raises(LabError, match="LAB011"):
        lab.status()
