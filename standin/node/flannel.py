"""
What flannel's pod does to a node: its checks, the CNI configuration, links, routes and rules.

Source: flannel's documentation, and what a real flannel 0.28.9 left on a node.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

from . import rules
from .common import Obj, replace, root, text

BRIDGE = "/proc/sys/net/bridge/bridge-nf-call-iptables"
CONFLIST = "/etc/cni/net.d/10-flannel.conflist"
PLUGIN = "/opt/cni/bin/flannel"
NO_INTERFACE = "Failed to find any valid interface to use"
NO_LEASE = "Error registering network: failed to acquire lease"


class NotRunning(Exception):
    """Why flannel exits; it would be restarted again and again."""


def _ip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)


def _interface(arguments: list[str]) -> str:
    """Return the interface of `--iface=`, or the default route's."""
    given = [one[8:] for one in arguments if one.startswith("--iface=")]
    words = given or _ip("-4", "route", "show", "default").stdout.partition(" dev ")[2].split()
    device = words[0] if words else ""
    if not device or not Path(f"/sys/class/net/{device}").exists():
        raise NotRunning(f"{NO_INTERFACE}: could not find matching interface: {device}")
    return device


def _address(device: str) -> str:
    words = _ip("-4", "-o", "address", "show", "dev", device, "scope", "global").stdout.split()
    if "inet" not in words:
        raise NotRunning(f"{NO_INTERFACE}: failed to find IPv4 address for interface {device}")
    return words[words.index("inet") + 1].partition("/")[0]


@dataclass
class Flannel:
    """flannel on one node; routes: what it has routed: another node's subnet → that node."""

    routes: dict[str, str] = field(default_factory=dict)
    has_written: bool = False

    def run(self, data: Obj, node: Obj, others: list[Obj], arguments: list[str]) -> Obj:
        """Do one round, return the node's annotations; NotRunning when it would exit."""
        if not root(BRIDGE).exists():
            raise NotRunning(f"Failed to check br_netfilter: stat {BRIDGE}")
        network = IPv4Network(json.loads(data["net-conf.json"])["Network"])
        own, name = node.get("spec", {}).get("podCIDR"), node["metadata"]["name"]
        if not own:
            raise NotRunning(f'{NO_LEASE}: node "{name}" pod cidr not assigned')
        subnet = IPv4Network(own)
        if not subnet.subnet_of(network):
            why = text("other-subnet", network=network, own=own, name=name)
            raise NotRunning(f"{NO_LEASE}: {why}")
        device = _interface(arguments)
        local = _address(device)
        self._write_files(data, network, subnet)
        self._make_links(device, local, subnet)
        self._set_routes(others, name)
        rules.flannel(str(network), str(subnet))
        address = root("/sys/class/net/flannel.1/address")
        data = {"VNI": 1, "VtepMAC": address.read_text().strip() if address.exists() else ""}
        values = {"backend-data": json.dumps(data, separators=(",", ":")), "public-ip": local}
        values |= {"backend-type": "vxlan", "kube-subnet-manager": "true"}
        return {f"flannel.alpha.coreos.com/{name}": value for name, value in values.items()}

    def _write_files(self, data: Obj, network: IPv4Network, subnet: IPv4Network) -> None:
        if self.has_written and root(CONFLIST).exists():
            return
        if not root(PLUGIN).exists():
            replace(root(PLUGIN), b"#!/bin/false\n", 0o755)  # there are no containers
        own = f"{subnet[1]}/{subnet.prefixlen}"
        values = {"NETWORK": network, "SUBNET": own, "MTU": 1450, "IPMASQ": "true"}
        lines = "".join(f"FLANNEL_{name}={value}\n" for name, value in values.items())
        replace(root("/run/flannel/subnet.env"), lines.encode(), 0o644)
        replace(root(CONFLIST), data["cni-conf.json"].encode(), 0o644)
        self.has_written = True

    def _make_links(self, device: str, local: str, subnet: IPv4Network) -> None:
        if not Path("/sys/class/net/flannel.1").exists():
            options = f"type vxlan id 1 local {local} dev {device} dstport 8472 nolearning"
            made = _ip("link", "add", "flannel.1", *options.split())
            if made.returncode:
                why = made.stderr.strip()
                raise NotRunning(f"Error registering network: failed to create vxlan device: {why}")
            _ip("link", "set", "flannel.1", "mtu", "1450", "up")
            _ip("address", "add", f"{subnet[0]}/32", "dev", "flannel.1")
            self.routes.clear()
        if not Path("/sys/class/net/cni0").exists():
            _ip("link", "add", "cni0", "mtu", "1450", "type", "bridge")
            _ip("address", "add", f"{subnet[1]}/{subnet.prefixlen}", "dev", "cni0")
            _ip("link", "set", "cni0", "up")

    def _set_routes(self, others: list[Obj], own: str) -> None:
        wanted = {}
        for one in others:
            other = one.get("spec", {}).get("podCIDR")
            if other and one["metadata"]["name"] != own:
                wanted[other] = str(IPv4Network(other)[0])
        for gone in self.routes.keys() - wanted.keys():
            _ip("route", "delete", gone, "dev", "flannel.1")
        for other, gateway in wanted.items():
            if self.routes.get(other) != gateway:
                _ip("route", "replace", other, "via", gateway, "dev", "flannel.1", "onlink")
        self.routes = wanted
