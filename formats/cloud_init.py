"""cloud-init's NoCloud files: user-data, meta-data and network-config.

Sources: cloud-init's reference, "Cloud config" (cc_ssh, cc_users_groups, cc_set_hostname,
cc_update_etc_hosts, cc_write_files) and "Networking config version 2"; netplan(5) for `wifis`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import yaml


@dataclass(frozen=True)
class AccessPoint:
    """The Wi-Fi network that an interface joins. Holds a secret.

    + psk: passphrase of 8 to 63 characters, or 64 hexadecimal digits
    + country: ISO 3166 code of two letters; without it Raspberry Pi OS keeps the radio off
    """

    ssid: str
    psk: str = field(repr=False)
    country: str


@dataclass(frozen=True)
class Interface:
    """One interface at first boot.

    + address: with its prefix length; None for DHCP
    + gateway, nameservers, search_domains: None and empty for what DHCP brings, or what another
      interface has
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
    """A node's own SSH host key, ed25519. Holds a secret.

    + private: in OpenSSH's format, PEM lines
    + public: one line, "ssh-ed25519 AAAA…"
    """

    private: str = field(repr=False)
    public: str


def user_data(
    hostname: str,
    user: str,
    authorized_keys: Sequence[str],
    host_key: HostKey | None = None,
) -> str:
    """The user-data: host name, admin user and SSH. The text holds a secret when host_key is given.

    + hostname: RFC 1123 label
    + user: made when missing; sudo without a password, login by key alone
    + authorized_keys: the operator's public keys, one line each
    + host_key: the only host key that the node will have; None: it makes its own
    """
    config: dict[str, Any] = {
        "hostname": hostname,
        # "true" and "localhost" would rewrite /etc/hosts at each boot. One line, once, is enough
        # for sudo to resolve its own host; the file is bramble's afterwards.
        "manage_etc_hosts": False,
        "write_files": [
            {"path": "/etc/hosts", "content": f"127.0.1.1\t{hostname}\n", "append": True}
        ],
        "users": [
            {
                "name": user,
                "groups": ["adm", "sudo"],
                "shell": "/bin/bash",
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "lock_passwd": True,
                "ssh_authorized_keys": list(authorized_keys),
            }
        ],
        "disable_root": True,
        "ssh_pwauth": False,
        "ssh_deletekeys": True,
    }
    if host_key is not None:
        config["ssh_keys"] = {
            "ed25519_private": host_key.private,
            "ed25519_public": host_key.public,
        }
    # Raspberry Pi OS ships with the SSH server off.
    config["runcmd"] = [["systemctl", "enable", "--now", "ssh"]]
    return "#cloud-config\n" + _yaml(config)


def meta_data(instance_id: str, hostname: str) -> str:
    """The meta-data. cloud-init takes another instance_id for another machine's first boot."""
    return _yaml({"instance-id": instance_id, "local-hostname": hostname})


def network_config(interfaces: Sequence[Interface]) -> str:
    """The network-config, version 2. The text holds a secret when there is an access point."""
    config: dict[str, Any] = {"version": 2}
    for interface in interfaces:
        kind = "wifis" if interface.access_point else "ethernets"
        config.setdefault(kind, {})[interface.name] = _interface(interface)
    return _yaml(config)


def _interface(interface: Interface) -> dict[str, Any]:
    config: dict[str, Any] = {"dhcp4": interface.address is None}
    if interface.address is not None:
        config["addresses"] = [str(interface.address)]
    if interface.gateway is not None:
        # "0.0.0.0/0" where netplan says "default", which cloud-init's other renderers don't know.
        config["routes"] = [{"to": "0.0.0.0/0", "via": str(interface.gateway)}]
    if interface.nameservers or interface.search_domains:
        config["nameservers"] = {
            "addresses": [str(address) for address in interface.nameservers],
            "search": list(interface.search_domains),
        }
    if interface.access_point is not None:
        config["regulatory-domain"] = interface.access_point.country
        config["access-points"] = {
            interface.access_point.ssid: {"password": interface.access_point.psk}
        }
    return config


class _Dumper(yaml.SafeDumper):
    """Lines of a key as lines, not as one quoted text with escapes."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _yaml(config: dict[str, Any]) -> str:
    return yaml.dump(config, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
