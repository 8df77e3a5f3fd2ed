"""A node's hostname, hardware addresses, and networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from facts.base import State, WholeFact, data_of

# networkd records the interfaces that a .network file assigns to it; the records outlive it.
_SCRIPT = """uname -n; cat /proc/sys/kernel/random/boot_id;
ask() { a=$(ip -j -4 "$@") || a='ip failed'; echo "$a" | tr -d '\\n'; echo; };
ask address show; ask route show;
for i in /sys/class/net/*; do
[ -e "$i/address" ] || continue; m=; read -r m < "$i/address"; printf '%s=%s ' "${i##*/}" "$m";
done; echo;
if systemctl is-active --quiet systemd-networkd; then for i in /sys/class/net/*; do
grep -qs '^NETWORK_FILE=.' "/run/systemd/netif/links/$(cat "$i/ifindex")" &&
printf '%s ' "${i##*/}"; done; fi; echo"""


@dataclass(frozen=True)
class NetworksState(State):
    """
    + hostname: its own name
    + boot: an id that no two machines share, and no two boots
    + hardware: each interface's hardware address (MAC)
    + addresses: each interface's IPv4 addresses, with prefix
    + routes: each interface's networks of the routing table, without default routes
    + default: the gateways of its default routes
    + networkd: the interfaces that systemd-networkd configures
    """

    hostname: str
    boot: str
    hardware: dict[str, str]
    addresses: dict[str, list[str]]
    routes: dict[str, list[str]]
    default: list[str]
    networkd: list[str]


class Networks(WholeFact[NetworksState]):
    """A node's name, addresses and routes as they are."""

    script = (_SCRIPT,)

    def parse(
        self, hostname: str, boot: str, addresses: str, routes: str, hardware: str, networkd: str
    ) -> NetworksState:
        table: list[dict[str, Any]] = data_of(routes) or []
        named: dict[str, list[str]] = {}
        for route in table:
            if route.get("dst", "default") != "default" and "dev" in route:
                named.setdefault(route["dev"], []).append(_network(route["dst"]))
        return NetworksState(
            hostname=hostname,
            boot=boot,
            hardware=dict(word.split("=", 1) for word in hardware.split()),
            addresses={
                device["ifname"]: [
                    f"{info['local']}/{info['prefixlen']}" for info in device.get("addr_info", [])
                ]
                for device in data_of(addresses) or []
                if "ifname" in device
            },
            routes=named,
            default=[
                route["gateway"]
                for route in table
                if route.get("dst") == "default" and "gateway" in route
            ],
            networkd=networkd.split(),
        )


def _network(destination: str) -> str:
    """``ip`` leaves the prefix of a single address out."""
    return destination if "/" in destination else f"{destination}/32"
