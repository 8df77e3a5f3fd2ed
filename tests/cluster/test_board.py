"""The board: its name and addresses, and what Kubernetes requires of the kernel."""

from __future__ import annotations

import json
import re
from typing import Any

from formats import fstab
from messages import verify as messages
from settings import Cluster, Node
from tests.cluster.findings import deploy, listed, wrong

MODULES = {"overlay": "overlay", "br_netfilter": "bridge"}
SYSCTLS = (
    "net.ipv4.ip_forward",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
)


def test_host_name(node: Node, host: Any) -> None:
    """hostname"""
    now, at_boot = host.check_output("hostname; cat /etc/hostname").splitlines()
    if (now, at_boot) != (node.name, node.name):
        step = deploy("network")
        wrong(messages.HOSTNAME(now=now, at_boot=at_boot, expected=node.name, deploy=step))


def test_addresses(node: Node, cluster: Cluster, host: Any) -> None:
    """addresses"""
    expected = {
        interface.name: interface.address.ip if interface.address else node.uplink_address
        for interface in cluster.interfaces(node)
    }
    shown = json.loads(host.check_output("ip -4 -json address show scope global"))
    addresses = {each["ifname"]: each["addr_info"] for each in shown}
    for name, address in expected.items():
        found = [each["local"] for each in addresses.get(name, [])]
        if str(address) not in found:
            step = deploy("network")
            wrong(
                messages.ADDRESS_MISSING(
                    interface=name, found=listed(found), expected=address, deploy=step
                )
            )
        extra = [
            each["local"]
            for each in addresses[name]
            if each.get("dynamic") and each["local"] != str(address)
        ]
        if extra:
            step = deploy("network")
            wrong(
                messages.ADDRESS_EXTRA(
                    interface=name, extra=listed(extra), expected=address, deploy=step
                )
            )


def test_swap_is_off(host: Any) -> None:
    """swap off"""
    if in_use := host.check_output("tail -n +2 /proc/swaps | cut -d ' ' -f 1").split():
        wrong(messages.SWAP_ON(devices=listed(in_use), deploy=deploy("prepare")))
    back = [line.split()[0] for line in fstab.swap_lines(host.file("/etc/fstab").content_string)]
    units = "systemctl list-unit-files --type=swap --state=enabled --no-legend --plain"
    back += [line.split()[0] for line in host.run(units).stdout.splitlines()]
    if back:
        wrong(messages.SWAP_AT_BOOT(sources=listed(back), deploy=deploy("prepare")))


def test_kernel_modules(host: Any) -> None:
    """kernel modules"""
    # Each leaves a trace, also one that is built into the kernel.
    traces = host.check_output("cat /proc/filesystems; ls /proc/sys/net").split()
    now = [name for name, trace in MODULES.items() if trace in traces]
    lines = host.run("cat /etc/modules /etc/modules-load.d/*.conf").stdout.replace("-", "_")
    at_boot = re.sub(r"(?m)^\s*[#;].*", "", lines)
    for when, there in (("now", now), ("at boot", at_boot.split())):
        if absent := [name for name in MODULES if name not in there]:
            wrong(messages.MODULES(when=when, modules=listed(absent), deploy=deploy("prepare")))


def test_kernel_settings(host: Any) -> None:
    """kernel parameters now"""
    shown = host.run("sysctl " + " ".join(SYSCTLS)).stdout
    _expect_on(dict(re.findall(r"(?m)^(\S+) = (\S+)$", shown)), "now")


def test_kernel_settings_at_boot(host: Any) -> None:
    """kernel parameters at boot"""
    text = host.check_output("systemd-analyze cat-config sysctl.d")
    # The last file counts: sysctl.d(5).
    values = re.findall(r"(?m)^\s*-?([\w./-]+)\s*=\s*(\S+)", text.replace("/", "."))
    _expect_on(dict(values), "after a reboot")


def _expect_on(values: dict[str, str], when: str) -> None:
    off = [f"{name} = {values.get(name)}" for name in SYSCTLS if values.get(name) != "1"]
    if off:
        wrong(messages.SYSCTL(when=when, values=listed(off), deploy=deploy("prepare")))
