"""
cloud-init's NoCloud files: user-data, meta-data and network-config; and those of version 0.7.9.

Sources: cloud-init's reference, "Cloud config" (cc_ssh, cc_users_groups, cc_set_hostname,
cc_update_etc_hosts, cc_write_files, cc_timezone, cc_locale) and "Networking config version 2";
netplan(5) for ``wifis``; cloud-init 0.7.9's documentation, "Modules"; HypriotOS'
image-builder-rpi64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from formats import wifi, yaml_documents
from formats.interfaces import desired, syntax
from formats.wifi import Security

# cloud-init runs the scripts in this folder at the end of every boot.
PER_BOOT = "/var/lib/cloud/scripts/per-boot"


@dataclass(frozen=True)
class AccessPoint:
    """
    The Wi-Fi network of an interface. Holds a secret.

    + psk: passphrase of 8 to 63 characters, or 64 hexadecimal digits
    + country: ISO 3166 code of two letters; without it Raspberry Pi OS keeps the radio off
    + security: "wpa3" (SAE): then psk is the passphrase
    + hidden: the network does not announce its name
    """

    ssid: str
    psk: str = field(repr=False)
    country: str
    security: Security = "wpa2"
    hidden: bool = False


@dataclass(frozen=True)
class Interface:
    """
    An interface at first boot.

    + address: with its prefix length; None for DHCP
    + gateway, nameservers, search_domains: None and empty when DHCP or another interface sets them
    + access_point: for a Wi-Fi interface
    """

    name: str
    address: IPv4Interface | None = None
    gateway: IPv4Address | None = None
    nameservers: Sequence[IPv4Address] = ()
    search_domains: Sequence[str] = ()
    access_point: AccessPoint | None = None


@dataclass(frozen=True)
class HostKey:
    """
    A node's SSH host key, ed25519. Holds a secret.

    + private: in OpenSSH's format, PEM lines
    + public: one line, "ssh-ed25519 AAAA…"
    """

    private: str = field(repr=False)
    public: str


@dataclass(frozen=True)
class Board:
    """
    The settings of a board in user-data. Holds a secret: the host key.

    + hostname: RFC 1123 label
    + user: created when missing; sudo without a password, login by key only
    + authorized_keys: the operator's public keys, one line each
    + host_key: the board's only host key
    + timezone: as in /usr/share/zoneinfo, "Europe/Lisbon"
    + locale: "pt_PT.UTF-8"
    + ending: a shell script for the end of the first boot, which removes itself
    """

    hostname: str
    user: str
    authorized_keys: Sequence[str]
    host_key: HostKey
    timezone: str
    locale: str
    ending: str


# Raspberry Pi OS asks for a user on its screen, and the boot does not end, so that cloud-init does
# not run its commands, before somebody has typed one. Here cloud-init creates the user.
_NO_QUESTION = (
    "systemctl -q is-enabled userconfig 2>/dev/null"
    " && systemctl -q disable --now --no-block userconfig || true"
)


def user_data(board: Board) -> str:
    """Write user-data: host name, admin user, SSH, time zone, language."""
    lines = [
        {"path": path, "content": f"{line}\n", "append": True}
        for path, line in _appended(board).items()
    ]
    config = {
        **_common(board),
        "bootcmd": [_NO_QUESTION],
        "write_files": [*lines, _ending(board)],
        # The ending does it too: a board without sshd cannot be reached at all.
        "runcmd": ["systemctl -q is-enabled ssh || systemctl enable --now ssh"],
    }
    return _cloud_config(config)


def _common(board: Board) -> dict[str, Any]:
    """The part of user-data that is the same for all versions of cloud-init."""
    return {
        "hostname": board.hostname,
        "manage_etc_hosts": False,
        "timezone": board.timezone,
        "locale": board.locale,
        "users": [
            {
                "name": board.user,
                "groups": ["adm", "sudo"],
                "shell": "/bin/bash",
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "lock_passwd": True,
                "ssh_authorized_keys": list(board.authorized_keys),
            }
        ],
        "disable_root": True,
        "ssh_pwauth": False,
        "ssh_deletekeys": True,
        "ssh_keys": {
            "ed25519_private": board.host_key.private,
            "ed25519_public": board.host_key.public,
        },
    }


def _appended(board: Board) -> dict[str, str]:
    """
    The lines to append to files before cloud-init does anything else, by path.

    "manage_etc_hosts" would rewrite /etc/hosts at each boot; one line is enough for sudo to resolve
    its own host. Debian's locale-gen makes the locales in its list, not the one that cloud-init
    names.
    """
    found = {"/etc/hosts": f"127.0.1.1\t{board.hostname}"}
    if board.locale != "C.UTF-8":  # which every board has
        found["/etc/locale.gen"] = f"{board.locale} UTF-8"
    return found


def _ending(board: Board) -> dict[str, str]:
    """Make the entry of write_files for the board's ending."""
    path = f"{PER_BOOT}/bramble-first-boot"
    return {"path": path, "permissions": "0700", "content": board.ending}


def meta_data(instance_id: str, hostname: str) -> str:
    """
    Write meta-data. With another instance_id cloud-init runs as at a first boot.

    "local": nothing here needs the network, so it runs before the network is up.
    """
    return yaml_documents.dump({**_identity(instance_id, hostname), "dsmode": "local"})


def _identity(instance_id: str, hostname: str) -> dict[str, str]:
    """The part of meta-data that is the same for all versions of cloud-init."""
    return {"instance-id": instance_id, "local-hostname": hostname}


def network_config(interfaces: Sequence[Interface]) -> str:
    """Write network-config, version 2. It holds a secret when there is an access point."""
    config: dict[str, Any] = {"version": 2}
    for interface in interfaces:
        kind = "wifis" if interface.access_point else "ethernets"
        config.setdefault(kind, {})[interface.name] = _interface(interface)
    return yaml_documents.dump(config)


def _interface(interface: Interface) -> dict[str, Any]:
    config: dict[str, Any] = {"dhcp4": interface.address is None}
    if interface.address is not None:
        config["addresses"] = [str(interface.address)]
    if interface.gateway is not None:
        # cloud-init's renderers other than netplan do not know "default".
        config["routes"] = [{"to": "0.0.0.0/0", "via": str(interface.gateway)}]
    if interface.nameservers or interface.search_domains:
        config["nameservers"] = {
            "addresses": [str(address) for address in interface.nameservers],
            "search": list(interface.search_domains),
        }
    if interface.access_point is not None:
        config["regulatory-domain"] = interface.access_point.country
        config["access-points"] = {interface.access_point.ssid: _access(interface.access_point)}
    return config


def _access(point: AccessPoint) -> dict[str, Any]:
    config: dict[str, Any] = {"password": point.psk}
    if point.security == "wpa3":
        config = {"auth": {"key-management": "sae", "password": point.psk}}
    return {**config, "hidden": True} if point.hidden else config


def _cloud_config(config: dict[str, Any]) -> str:
    """Write user-data, with the first line by which cloud-init recognises it."""
    return "#cloud-config\n" + yaml_documents.dump(config)


# --- cloud-init 0.7.9 (2016), which HypriotOS has -------------------------------------------------
#
# It reads no network-config from an SD card (HypriotOS passes on user-data and meta-data only) and
# cannot append to a file. So the network is written as ifupdown's files, and the board reboots once
# to come up with them.

# cloud-init's own network configuration: DHCP on eth0, beside the address given here.
_OWN_NETWORK = "/etc/network/interfaces.d/50-cloud-init.cfg"
_OWN_NETWORK_OFF = "/etc/cloud/cloud.cfg.d/99-bramble-network.cfg"

# All SD cards written from one HypriotOS image have the same machine-id.
_NEW_MACHINE_ID = (
    "rm -f /etc/machine-id /var/lib/dbus/machine-id && "
    "tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id"
)


def user_data_079(board: Board, interfaces: Sequence[Interface]) -> str:
    """Write user-data: what ``user_data`` holds, and the network. Holds secrets."""
    lines = [f"printf '%s\\n' '{line}' >>{path}" for path, line in _appended(board).items()]
    config = {
        **_common(board),
        "bootcmd": [_NO_QUESTION, *_once(_NEW_MACHINE_ID, *lines)],
        "write_files": [*_network_079(interfaces), _ending(board)],
        "power_state": {"mode": "reboot"},
    }
    return _cloud_config(config)


def meta_data_079(instance_id: str, hostname: str) -> str:
    """
    Write meta-data, without "dsmode".

    The boot partition may be mounted after cloud-init has looked for local data; with "local" it
    would then ignore what it finds.
    """
    return yaml_documents.dump(_identity(instance_id, hostname))


def _once(*commands: str) -> Iterator[list[str]]:
    """Make entries of bootcmd, which runs at every boot; the third word marks a command as done."""
    for number, command in enumerate(commands):
        yield ["cloud-init-per", "instance", f"bramble-{number}", "sh", "-c", command]


def _network_079(interfaces: Sequence[Interface]) -> Iterator[dict[str, Any]]:
    """Make the entries of write_files."""
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
        stanza = desired.Interface(
            interface.name,
            "static" if interface.address else "dhcp",
            interface.address,
            interface.gateway,
            start="both",
            wpa_conf=conf,
        )
        path = f"/etc/network/interfaces.d/{interface.name}"
        yield {"path": path, "content": syntax.render(stanza.file())}
        lines = [f"nameserver {server}" for server in interface.nameservers]
        if interface.search_domains:
            lines.append(f"search {' '.join(interface.search_domains)}")
        if lines:
            yield {"path": "/etc/resolv.conf", "content": "\n".join(lines) + "\n"}
