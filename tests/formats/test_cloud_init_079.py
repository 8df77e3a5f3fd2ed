"""user-data as HypriotOS' cloud-init 0.7.9 takes them."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Interface
from typing import Any

import yaml

from formats import cloud_init
from formats.interfaces import syntax
from tests.formats.test_cloud_init import BOARD, KEY, STATIC

POINT = cloud_init.AccessPoint("IEEE", "password", "US")
UPLINK = cloud_init.Interface("wlan0", access_point=POINT)
INNER = cloud_init.Interface("eth0", IPv4Interface("192.168.2.11/24"))


def data(*interfaces: cloud_init.Interface) -> Any:
    text = cloud_init.user_data_079(BOARD, interfaces)
    assert text.startswith("#cloud-config\n")
    return yaml.safe_load(text)


def files(*interfaces: cloud_init.Interface) -> dict[str, Any]:
    return {entry["path"]: entry for entry in data(*interfaces)["write_files"]}


def test_a_static_address_is_an_interfaces_file() -> None:
    written = files(STATIC)
    assert written["/etc/network/interfaces.d/eth0"]["content"] == (
        "auto eth0\n"
        "allow-hotplug eth0\n"
        "iface eth0 inet static\n"
        "    address 192.168.2.11/24\n"
        "    gateway 192.168.2.1\n"
    )
    assert written["/etc/resolv.conf"]["content"] == "nameserver 8.8.8.8\nsearch home.arpa\n"


def test_cloud_inits_own_network_is_off() -> None:
    written = files(STATIC)
    off = written["/etc/cloud/cloud.cfg.d/99-bramble-network.cfg"]["content"]
    assert yaml.safe_load(off) == {"network": {"config": "disabled"}}
    own = written["/etc/network/interfaces.d/50-cloud-init.cfg"]["content"]
    assert not [item for item in syntax.parse(own).items if isinstance(item, syntax.Iface)]


def test_wifi_is_joined_with_the_hashed_key_in_a_file_for_root() -> None:
    written = files(INNER, UPLINK)
    assert (
        "iface wlan0 inet dhcp\n    wpa-conf /etc/wpa_supplicant/bramble-wlan0.conf\n"
        in (written["/etc/network/interfaces.d/wlan0"]["content"])
    )
    conf = written["/etc/wpa_supplicant/bramble-wlan0.conf"]
    assert conf["permissions"] == "0600"
    assert "country=US\n" in conf["content"]
    assert "psk=f42c6fc5" in conf["content"]
    assert "password" not in cloud_init.user_data_079(BOARD, [UPLINK]).replace("lock_passwd", "")
    assert "/etc/resolv.conf" not in written


def test_nothing_that_0_7_9_lacks() -> None:
    """write_files cannot append there, and would write over /etc/hosts."""
    written = files(STATIC)
    assert "/etc/hosts" not in written
    assert not [
        entry for entry in written.values() if set(entry) - {"path", "permissions", "content"}
    ]


def test_it_is_the_same_board_otherwise() -> None:
    mine = data(STATIC)
    today = yaml.safe_load(cloud_init.user_data(BOARD))
    common = today.keys() - {"bootcmd", "write_files", "runcmd"}
    assert {"hostname", "users", "ssh_keys", "timezone", "locale"} <= common
    assert {name: mine[name] for name in common} == {name: today[name] for name in common}
    assert today["write_files"][-1] == mine["write_files"][-1]
    assert BOARD.ending == mine["write_files"][-1]["content"]
    assert mine["users"][0]["ssh_authorized_keys"] == [KEY]


def test_the_boards_own_name_and_machine_id_once() -> None:
    other = dataclasses.replace(BOARD, hostname="node7")
    _, *commands = yaml.safe_load(cloud_init.user_data_079(other, [STATIC]))["bootcmd"]
    assert all(command[:2] == ["cloud-init-per", "instance"] for command in commands)
    shell = [command[-1] for command in commands]
    assert "printf '%s\\n' '127.0.1.1\tnode7' >>/etc/hosts" in shell
    assert "printf '%s\\n' 'pt_PT.UTF-8 UTF-8' >>/etc/locale.gen" in shell
    assert any("/etc/machine-id" in command for command in shell)
    assert len({command[2] for command in commands}) == len(commands)


def test_meta_data_do_not_say_local() -> None:
    """0.7.9 would do nothing when it finds that after it has looked for local data."""
    assert yaml.safe_load(cloud_init.meta_data_079("node1-1", "node1")) == {
        "instance-id": "node1-1",
        "local-hostname": "node1",
    }
