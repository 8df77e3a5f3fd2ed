"""The board: its name and addresses, and what Kubernetes wants of a kernel."""

from __future__ import annotations

import json
import re
from typing import Any

from formats import fstab
from settings import Cluster, Node
from tests.cluster.words import deploy, listed, wrong

MODULES = {"overlay": "overlay", "br_netfilter": "bridge"}
SYSCTLS = (
    "net.ipv4.ip_forward",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
)


def test_host_name(node: Node, host: Any) -> None:
    """host name"""
    now, at_boot = host.check_output("hostname; cat /etc/hostname").splitlines()
    if (now, at_boot) != (node.name, node.name):
        wrong(f"it is called {now} now, and {at_boot} after a reboot", deploy("network"))


def test_addresses(node: Node, cluster: Cluster, host: Any) -> None:
    """addresses"""
    wanted = {
        interface.name: interface.address.ip if interface.address else node.uplink_address
        for interface in cluster.interfaces(node)
    }
    shown = json.loads(host.check_output("ip -4 -json address show scope global"))
    addresses = {each["ifname"]: each["addr_info"] for each in shown}
    for name, address in wanted.items():
        found = [each["local"] for each in addresses.get(name, [])]
        if str(address) not in found:
            wrong(f"{name} has {listed(found)}; it should have {address}", deploy("network"))
        strays = [
            each["local"]
            for each in addresses[name]
            if each.get("dynamic") and each["local"] != str(address)
        ]
        if strays:
            wrong(
                f"{name} has {listed(strays)} besides {address}: another program asks DHCP too",
                f"{deploy('network')}; if it stays: see what else runs there (dhcpcd, networkd)",
            )


def test_swap_is_off(host: Any) -> None:
    """no swap"""
    if in_use := host.check_output("tail -n +2 /proc/swaps | cut -d ' ' -f 1").split():
        wrong(f"there is swap on {listed(in_use)}: the kubelet won't start", deploy("prepare"))
    back = [line.split()[0] for line in fstab.swap_lines(host.file("/etc/fstab").content_string)]
    units = "systemctl list-unit-files --type=swap --state=enabled --no-legend --plain"
    back += [line.split()[0] for line in host.run(units).stdout.splitlines()]
    if back:
        wrong(f"swap is back after a reboot: {listed(back)}", deploy("prepare"))


def test_kernel_modules(host: Any) -> None:
    """kernel modules"""
    # Each leaves its trace, also where it is built in.
    traces = host.check_output("cat /proc/filesystems; ls /proc/sys/net").split()
    now = [name for name, trace in MODULES.items() if trace in traces]
    at_boot = host.run("cat /etc/modules /etc/modules-load.d/*.conf").stdout.replace("-", "_")
    for when, there in (("now", now), ("at boot", at_boot.split())):
        if absent := [name for name in MODULES if name not in there]:
            wrong(f"{listed(absent)} not loaded {when}", deploy("prepare"))


def test_kernel_settings(host: Any) -> None:
    """kernel settings now"""
    said = host.run("sysctl " + " ".join(SYSCTLS)).stdout
    values = dict(re.findall(r"(?m)^(\S+) = (\S+)$", said))
    if off := [
        f"{name} is {values.get(name, 'not there')}" for name in SYSCTLS if values.get(name) != "1"
    ]:
        wrong(f"{listed(off)}; it should be 1", deploy("prepare"))


def test_kernel_settings_at_boot(host: Any) -> None:
    """kernel settings at boot"""
    text = host.check_output("systemd-analyze cat-config sysctl.d")
    # The last file has the last word: sysctl.d(5).
    values = dict(re.findall(r"(?m)^\s*-?([\w./-]+)\s*=\s*(\S+)", text.replace("/", ".")))
    off = [name for name in SYSCTLS if values.get(name) != "1"]
    if off:
        said = listed(f"{name} = {values.get(name, '(nothing)')}" for name in off)
        wrong(f"after a reboot there will be {said}; it should be 1", deploy("prepare"))
