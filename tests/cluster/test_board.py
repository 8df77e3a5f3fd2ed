"""The board: its name and addresses, and what Kubernetes wants of a kernel."""

from __future__ import annotations

import json
import re
from typing import Any

from settings import Cluster, Node
from tests.cluster.words import deploy, listed, wrong

MODULES = ("overlay", "br_netfilter")
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
    in_use, fstab, units = host.check_output(
        "tail -n +2 /proc/swaps | cut -d' ' -f1 | paste -sd' ';"
        "awk '$1 !~ /^#/ && $3 == \"swap\" {print $1}' /etc/fstab | paste -sd' ';"
        "systemctl list-units --type=swap --state=active --plain --no-legend | paste -sd' '; echo ."
    ).splitlines()[:3]
    if in_use or units:
        wrong(f"there is swap on {in_use or units}: the kubelet won't start", deploy("prepare"))
    if fstab:
        wrong(f"swap is back after a reboot: {fstab} in /etc/fstab", deploy("prepare"))


def test_kernel_modules(host: Any) -> None:
    """kernel modules"""
    there = host.check_output(
        "grep -qw overlay /proc/filesystems && echo overlay;"
        "test -e /proc/sys/net/bridge/bridge-nf-call-iptables && echo br_netfilter;"
        "echo; cat /etc/modules /etc/modules-load.d/*.conf 2>/dev/null || :"
    )
    now, _, at_boot = (there + "\n").partition("\n\n")
    for when, text in (("now", now), ("at boot", at_boot)):
        missing = [name for name in MODULES if name not in text.replace("-", "_").split()]
        if missing:
            wrong(f"{listed(missing)} not loaded {when}", deploy("prepare"))


def test_kernel_settings(host: Any) -> None:
    """kernel settings now"""
    values = host.check_output("sysctl -n " + " ".join(SYSCTLS)).splitlines()
    off = [name for name, value in zip(SYSCTLS, values, strict=True) if value != "1"]
    if off:
        wrong(f"{listed(off)} is 0; it should be 1", deploy("prepare"))


def test_kernel_settings_at_boot(host: Any) -> None:
    """kernel settings at boot"""
    text = host.check_output("systemd-analyze cat-config sysctl.d")
    # The last file has the last word: sysctl.d(5).
    values = dict(re.findall(r"(?m)^\s*-?([\w./-]+)\s*=\s*(\S+)", text.replace("/", ".")))
    off = [name for name in SYSCTLS if values.get(name) != "1"]
    if off:
        said = listed(f"{name} = {values.get(name, '(nothing)')}" for name in off)
        wrong(f"after a reboot there will be {said}; it should be 1", deploy("prepare"))
