"""user-data in the dialect of cloud-init 0.7.9 (2016), which HypriotOS has.

What it lacks: network-config from a card (HypriotOS hands user-data and meta-data on, no more), and
appending to a file. So the network is written as ifupdown's files, and the board starts once more
to come up with them.

Sources: cloud-init 0.7.9's documentation, "Modules"; HypriotOS' image-builder-rpi64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from formats import wifi
from formats.cloud_init import (
    NO_QUESTION,
    Board,
    Interface,
    appended,
    common,
    document,
    ending,
    identity,
    user_data_text,
)
from formats.interface_wanted import Interface as Wanted
from formats.interfaces import render

# The network that cloud-init itself would write: DHCP on eth0, beside the address given here.
_OWN_NETWORK = "/etc/network/interfaces.d/50-cloud-init.cfg"
_OWN_NETWORK_OFF = "/etc/cloud/cloud.cfg.d/99-bramble-network.cfg"

# All cards flashed from one HypriotOS image had one machine-id.
_NEW_MACHINE_ID = (
    "rm -f /etc/machine-id /var/lib/dbus/machine-id && "
    "tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id"
)


def user_data(board: Board, interfaces: Sequence[Interface]) -> str:
    """The user-data: what `cloud_init.user_data` says, and the network. Holds secrets."""
    lines = [f"printf '%s\\n' '{line}' >>{path}" for path, line in appended(board).items()]
    config = {
        **common(board),
        "bootcmd": [NO_QUESTION, *_once(_NEW_MACHINE_ID, *lines)],
        "write_files": [*_network(interfaces), ending(board)],
        "power_state": {"mode": "reboot"},
    }
    return user_data_text(config)


def meta_data(instance_id: str, hostname: str) -> str:
    """The meta-data. Without "dsmode": where the boot partition is mounted only after cloud-init
    has looked for local data, "local" would keep it from acting on what it then finds."""
    return document(identity(instance_id, hostname))


def _once(*commands: str) -> Iterator[list[str]]:
    """Entries of bootcmd, which is run at every boot: the third word is the mark of its own that a
    command has been run."""
    for number, command in enumerate(commands):
        yield ["cloud-init-per", "instance", f"bramble-{number}", "sh", "-c", command]


def _network(interfaces: Sequence[Interface]) -> Iterator[dict[str, Any]]:
    """The entries of write_files."""
    yield {"path": _OWN_NETWORK_OFF, "content": "network: {config: disabled}\n"}
    yield {"path": _OWN_NETWORK, "content": "# The network is in the other files here.\n"}
    for interface in interfaces:
        conf = None
        if (point := interface.access_point) is not None:
            conf = f"/etc/wpa_supplicant/bramble-{interface.name}.conf"
            text = wifi.configuration(
                interface.name, point.ssid, point.psk, point.country, point.security, point.hidden
            )
            yield {"path": conf, "permissions": "0600", "content": text}
        wanted = Wanted(
            interface.name,
            "static" if interface.address else "dhcp",
            interface.address,
            interface.gateway,
            start="both",
            wpa_conf=conf,
        )
        path = f"/etc/network/interfaces.d/{interface.name}"
        yield {"path": path, "content": render(wanted.file())}
        lines = [f"nameserver {server}" for server in interface.nameservers]
        if interface.search_domains:
            lines.append(f"search {' '.join(interface.search_domains)}")
        if lines:
            yield {"path": "/etc/resolv.conf", "content": "\n".join(lines) + "\n"}
