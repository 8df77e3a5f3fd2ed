"""
What flannel's pod does to a node: its checks, the CNI configuration, links, routes and rules.

Source: flannel's documentation (configuration, Kubernetes) and what a real flannel 0.28.9 left on a
node.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from . import rules
from .common import Obj, replace, root

BRIDGE = "/proc/sys/net/bridge/bridge-nf-call-iptables"
CONFLIST = "/etc/cni/net.d/10-flannel.conflist"
PLUGIN = "/opt/cni/bin/flannel"


class NotRunning(Exception):
    """Why flannel exits; it would be restarted again and again."""


def _ip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)


def interface(arguments: list[str]) -> str:
    """The interface of `--iface=`, or the default route's; NotRunning when there is none."""
    chosen = next((one.partition("=")[2] for one in arguments if one.startswith("--iface=")), "")
    if chosen:
        if not Path(f"/sys/class/net/{chosen}").exists():
            raise NotRunning(
                f"Failed to find any valid interface to use: could not find matching interface: {chosen}"
            )
        return chosen
    words = _ip("-4", "route", "show", "default").stdout.split()
    if "dev" not in words:
        raise NotRunning(
            "Failed to find any valid interface to use: failed to get default interface"
        )
    return words[words.index("dev") + 1]


def address(device: str) -> str:
    """An interface's IPv4 address."""
    words = _ip("-4", "-o", "address", "show", "dev", device, "scope", "global").stdout.split()
    if "inet" not in words:
        raise NotRunning(
            f"Failed to find any valid interface to use: failed to find IPv4 address for interface {device}"
        )
    return words[words.index("inet") + 1].partition("/")[0]


@dataclass
class Flannel:
    """
    flannel on one node.

    + routes: what it has routed: another node's subnet → that node
    """

    routes: dict[str, str] = field(default_factory=dict)
    made: bool = False

    def run(
        self, config_map: Obj | None, node: Obj, others: list[Obj], arguments: list[str]
    ) -> Obj:
        """One round; the node's annotations. NotRunning when it would exit."""
        if not root(BRIDGE).exists():
            raise NotRunning(
                f"Failed to check br_netfilter: stat {BRIDGE}: no such file or directory"
            )
        if config_map is None:
            raise NotRunning('configmap "kube-flannel-cfg" not found')
        try:
            network = json.loads(config_map["data"]["net-conf.json"])
            wanted = ipaddress.ip_network(network["Network"])
        except (KeyError, ValueError) as error:
            raise NotRunning(f"Failed to parse network config: {error}") from None
        own = node.get("spec", {}).get("podCIDR")
        name = node["metadata"]["name"]
        if not own:
            raise NotRunning(
                f'Error registering network: failed to acquire lease: node "{name}" pod cidr not assigned'
            )
        subnet = ipaddress.ip_network(own)
        if not isinstance(subnet, type(wanted)) or not subnet.subnet_of(wanted):  # type: ignore[arg-type]
            raise NotRunning(
                f'Error registering network: failed to acquire lease: subnet "{wanted}" specified in the flannel net config doesn\'t contain "{own}" PodCIDR of the "{name}" node.'
            )
        device = interface(arguments)
        local = address(device)
        self._files(config_map, wanted, subnet)
        if os.environ.get("STANDIN_ROOT") is None:
            self._links(device, local, subnet)
            self._routes(others, name)
            rules.flannel(str(wanted), str(subnet))
        return {
            "flannel.alpha.coreos.com/backend-data": json.dumps(
                {"VNI": 1, "VtepMAC": self._mac()}, separators=(",", ":")
            ),
            "flannel.alpha.coreos.com/backend-type": "vxlan",
            "flannel.alpha.coreos.com/kube-subnet-manager": "true",
            "flannel.alpha.coreos.com/public-ip": local,
        }

    def _files(
        self,
        config_map: Obj,
        network: object,
        subnet: ipaddress.IPv4Network | ipaddress.IPv6Network,
    ) -> None:
        if self.made and root(CONFLIST).exists():
            return
        plugin = root(PLUGIN)
        if not plugin.exists():
            replace(
                plugin,
                b"#!/bin/sh\necho 'stand-in: there are no containers to connect' >&2\nexit 1\n",
                0o755,
            )
        environment = f"FLANNEL_NETWORK={network}\nFLANNEL_SUBNET={subnet[1]}/{subnet.prefixlen}\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
        replace(root("/run/flannel/subnet.env"), environment.encode(), 0o644)
        replace(root(CONFLIST), config_map["data"]["cni-conf.json"].encode(), 0o644)
        self.made = True

    def _mac(self) -> str:
        try:
            return Path("/sys/class/net/flannel.1/address").read_text().strip()
        except OSError:
            return "02:00:00:00:00:01"

    def _links(
        self, device: str, local: str, subnet: ipaddress.IPv4Network | ipaddress.IPv6Network
    ) -> None:
        if not Path("/sys/class/net/flannel.1").exists():
            made = _ip(
                "link",
                "add",
                "flannel.1",
                "type",
                "vxlan",
                "id",
                "1",
                "local",
                local,
                "dev",
                device,
                "dstport",
                "8472",
                "nolearning",
            )
            if made.returncode:
                raise NotRunning(
                    f"Error registering network: failed to create vxlan device: {made.stderr.strip()}"
                )
            _ip("link", "set", "flannel.1", "mtu", "1450", "up")
            _ip("address", "add", f"{subnet[0]}/32", "dev", "flannel.1")
            self.routes.clear()
        if not Path("/sys/class/net/cni0").exists():
            _ip("link", "add", "cni0", "mtu", "1450", "type", "bridge")
            _ip("address", "add", f"{subnet[1]}/{subnet.prefixlen}", "dev", "cni0")
            _ip("link", "set", "cni0", "up")

    def _routes(self, others: list[Obj], own: str) -> None:
        wanted = {}
        for one in others:
            other = one.get("spec", {}).get("podCIDR")
            if other and one["metadata"]["name"] != own:
                wanted[other] = str(ipaddress.ip_network(other)[0])
        for gone in self.routes.keys() - wanted.keys():
            _ip("route", "delete", gone, "dev", "flannel.1")
        for other, gateway in wanted.items():
            if self.routes.get(other) != gateway:
                _ip("route", "replace", other, "via", gateway, "dev", "flannel.1", "onlink")
        self.routes = wanted
