"""Network interfaces: their configuration and their state, in one remote execution."""

from __future__ import annotations

from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from typing import Any, TypedDict

from facts.base import State, UnexpectedLine, WholeFact, data_of, text_of
from facts.files import KINDS, FileState

# Files first: those that ifupdown reads, others in the same directory, and those that decide which
# program manages an interface. Of Wi-Fi keys only a digest leaves the node.
_SCRIPT = r"""PATH=$PATH:/usr/sbin:/sbin; export PATH;
show() { [ -L "$1" ] || [ -e "$1" ] || return;
echo "file $1|$(stat -c '%F|%a|%U|%G' "$1")|$([ -f "$1" ] && base64 -w0 < "$1")"; };
q=; command -v ifquery > /dev/null && q="ifquery: parsing file /etc/network/interfaces
$(ifquery --verbose --list 2>&1 | grep '^ifquery: ')";
{ printf '%s\n' /etc/network/interfaces /etc/network/interfaces.d/*;
printf '%s\n' "$q" | sed -n 's/^ifquery: parsing file //p'; } | awk '!seen[$0]++' |
while IFS= read -r f; do show "$f"; done;
printf '%s\n' "$q" | sed 's/^/ifquery /';
for f in /var/lib/bramble/kept/etc/network/interfaces.d/* \
/etc/NetworkManager/conf.d/bramble-*.conf /etc/dhcpcd.conf /etc/dhcp/dhclient.conf \
/etc/cloud/cloud.cfg.d/99-bramble-network.cfg; do show "$f"; done;
for f in /etc/wpa_supplicant/bramble-*.conf; do [ -f "$f" ] &&
echo "key $f|$(stat -c '%F|%a|%U|%G' "$f")|$(sha256sum < "$f" | cut -d' ' -f1)"; done;
for tool in ifup dhclient dhcpcd udhcpc wpa_supplicant NetworkManager; do
command -v $tool > /dev/null && echo "tool $tool"; done;
systemctl show -p Id,UnitFileState,ActiveState networking NetworkManager dhcpcd 2>/dev/null |
awk -F= '{is[$1]=$2} function out() {sub(/\.service$/, "", is["Id"]);
if (is["Id"] != "") print "unit " is["Id"] "|" is["UnitFileState"] "|" is["ActiveState"];
split("", is)} /^$/ {out()} END {out()}';
ifquery --state 2>/dev/null | sed 's/^/up /';
(cd /var/lib/bramble/guard 2>/dev/null &&
echo "pending $(cat pending/what restoring/what 2>/dev/null)");
for i in /sys/class/net/*; do [ -e "$i" ] && echo "link ${i##*/}"; done;
ask() { a=$(ip -j "$@") || a='ip failed'; echo "$a" | tr -d '\n'; };
echo "addresses $(ask address show)"; echo "routes $(ask -4 route show default)";
if command -v NetworkManager > /dev/null; then
NetworkManager --print-config 2>/dev/null | sed 's/^/nm-config /';
nmcli -t -f DEVICE,STATE device 2>/dev/null | sed 's/^/nm-device /'; fi"""
_WORDS = (
    "ifquery",
    *("file", "key", "tool", "unit", "up", "pending", "link", "addresses", "routes"),
    *("nm-config", "nm-device"),
)


@dataclass(frozen=True)
class Link(State):
    """
    The state of an interface.

    + addresses: IPv4 addresses of global scope, with prefix length
    + leased: those with a limited lifetime, from DHCP
    + gateways: of its default routes
    + nm_state: its state in NetworkManager; "": NetworkManager does not run
    + master: bridge or bond whose port it is
    """

    addresses: list[str]
    leased: list[str]
    gateways: list[str]
    nm_state: str
    master: str = ""


class InterfacesState(TypedDict):
    """
    What ``InterfacesFiles`` returns.

    + files: by path: what ifupdown may read, bramble's own files, those of DHCP clients, and what
      bramble has replaced of them
    + ifquery: output of ``ifquery --verbose``; empty: ifupdown is not installed
    + keys: by path: Wi-Fi configurations; ``text`` is the content's SHA-256
    + tools: installed programs
    + units: by systemd unit: outputs of ``systemctl is-enabled`` and ``is-active``
    + up: interfaces that ifupdown has brought up
    + pending: what a change that is not confirmed changes; "": no such change
    + links: by name: all interfaces
    + networkmanager: its configuration in effect, ``section.key``: value
    """

    files: dict[str, FileState]
    ifquery: list[str]
    keys: dict[str, FileState]
    tools: list[str]
    units: dict[str, list[str]]
    up: list[str]
    pending: str
    links: dict[str, Link]
    networkmanager: dict[str, str]


class InterfacesFiles(WholeFact[InterfacesState]):
    """
    Read the interfaces files of a node and the state of its interfaces.

    Returns ``None`` when they could not be read. Files by others are read whole: they may hold a
    Wi-Fi key.
    """

    secret = True

    script = (_SCRIPT,)

    def parse(self, *lines: str) -> InterfacesState:
        for line in lines:
            if line.partition(" ")[0] not in _WORDS:
                raise UnexpectedLine(line)
        return _parse([line.partition(" ")[::2] for line in lines])


def _parse(lines: list[tuple[str, str]]) -> InterfacesState:
    def of(kind: str) -> Iterator[str]:
        return (rest for word, rest in lines if word == kind)

    units = (rest.split("|") for rest in of("unit"))
    devices = dict(rest.rsplit(":", 1) for rest in of("nm-device"))
    return {
        "files": dict(_file(rest, decode=True) for rest in of("file")),
        "ifquery": [line for line in of("ifquery") if line],
        "keys": dict(_file(rest, decode=False) for rest in of("key")),
        "tools": list(of("tool")),
        "units": {unit: [enabled, active] for unit, enabled, active in units},
        "up": [rest.partition("=")[0] for rest in of("up")],
        "pending": next(of("pending"), ""),
        "links": _links(
            list(of("link")),
            data_of(next(of("addresses"), "")) or [],
            data_of(next(of("routes"), "")) or [],
            devices,
        ),
        "networkmanager": _sections("\n".join(of("nm-config"))),
    }


def _file(rest: str, decode: bool) -> tuple[str, FileState]:
    path, kind_name, mode, user, group, content = rest.rsplit("|", 5)
    kind = KINDS.get(kind_name, "other")
    text = text_of(content) if decode else content
    return path, FileState(kind, mode, user, group, text if kind in ("file", "link") else None)


def _links(
    names: list[str],
    addresses: list[dict[str, Any]],
    routes: list[dict[str, Any]],
    devices: dict[str, str],
) -> dict[str, Link]:
    masters = {link["ifname"]: link.get("master", "") for link in addresses if "ifname" in link}
    links = {name: Link([], [], [], devices.get(name, ""), masters.get(name, "")) for name in names}
    for device in addresses:
        for info in device.get("addr_info", []):
            of_ipv4 = info.get("family") == "inet" and info.get("scope") == "global"
            if device.get("ifname") in links and of_ipv4:
                address = f"{info['local']}/{info['prefixlen']}"
                links[device["ifname"]].addresses.append(address)
                if info.get("dynamic"):
                    links[device["ifname"]].leased.append(address)
    for route in routes:
        if route.get("dev") in links and "gateway" in route:
            links[route["dev"]].gateways.append(route["gateway"])
    return links


def _sections(text: str) -> dict[str, str]:
    parser = ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment]
    parser.read_string(text)
    return {
        f"{name}.{key}": value for name in parser.sections() for key, value in parser[name].items()
    }
