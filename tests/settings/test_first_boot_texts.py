"""What each node is told at its first boot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import settings
from settings import wifi


def append(desk: Path, file: str, text: str) -> None:
    with (desk / file).open("a") as opened:
        opened.write(text)


def network(desk: Path, name: str) -> Any:
    cluster = settings.load(desk)
    return yaml.safe_load(cluster.first_boot(cluster.node(name))["network-config"])


def first_address(desk: Path, name: str) -> None:
    text = (desk / "inventory.py").read_text()
    new = text.replace(f'("{name}", {{', f'("{name}", {{"first_address": "192.168.1.150", ')
    assert new != text
    (desk / "inventory.py").write_text(new)


def test_user_data_lets_the_operator_in(desk: Path) -> None:
    cluster = settings.load(desk)
    data = yaml.safe_load(cluster.first_boot(cluster.node("node2"))["user-data"])
    assert data["hostname"] == "node2"
    (user,) = data["users"]
    assert user["name"] == "pi"
    assert user["ssh_authorized_keys"] == [settings.operator_public_key(cluster)]
    key = settings.host_key(cluster, cluster.node("node2"))
    assert data["ssh_keys"] == {"ed25519_private": key.private, "ed25519_public": key.public}


def test_the_same_settings_give_the_same_card(desk: Path) -> None:
    cluster = settings.load(desk)
    assert cluster.first_boot(cluster.head) == cluster.first_boot(cluster.head)


def test_no_two_nodes_are_the_same_instance(desk: Path) -> None:
    cluster = settings.load(desk)
    made = {cluster.first_boot(node)["meta-data"] for node in cluster.nodes}
    assert len(made) == 3


def test_a_worker_behind_the_head_is_static(desk: Path) -> None:
    assert network(desk, "node2") == {
        "version": 2,
        "ethernets": {
            "eth0": {
                "dhcp4": False,
                "addresses": ["192.168.2.12/24"],
                "routes": [{"to": "0.0.0.0/0", "via": "192.168.2.11"}],
                "nameservers": {"addresses": ["8.8.8.8", "8.8.4.4", "192.168.1.1"], "search": []},
            }
        },
    }


def test_a_nat_head_has_its_uplink_too(desk: Path) -> None:
    assert network(desk, "node1")["ethernets"] == {
        "eth0": {"dhcp4": False, "addresses": ["192.168.2.11/24"]},
        "wlan0": {"dhcp4": True},
    }
    append(desk, "group_data/head.py", 'uplink_method = "static"\n')
    assert network(desk, "node1")["ethernets"]["wlan0"] == {
        "dhcp4": False,
        "addresses": ["192.168.1.32/24"],
        "routes": [{"to": "0.0.0.0/0", "via": "192.168.1.1"}],
        "nameservers": {"addresses": ["8.8.8.8", "8.8.4.4", "192.168.1.1"], "search": []},
    }


def test_with_a_router_all_nodes_are_alike(desk: Path) -> None:
    append(desk, "group_data/all.py", 'topology = "router"\nsearch_domains = ["home.arpa"]\n')
    for number in (1, 2, 3):
        assert network(desk, f"node{number}")["ethernets"] == {
            "eth0": {
                "dhcp4": False,
                "addresses": [f"192.168.2.1{number}/24"],
                "routes": [{"to": "0.0.0.0/0", "via": "192.168.2.1"}],
                "nameservers": {
                    "addresses": ["8.8.8.8", "8.8.4.4", "192.168.2.1"],
                    "search": ["home.arpa"],
                },
            }
        }


def test_a_node_with_a_first_address_begins_on_dhcp(desk: Path) -> None:
    first_address(desk, "node1")
    append(desk, "group_data/head.py", 'uplink_method = "static"\n')
    assert network(desk, "node1")["ethernets"] == {
        "eth0": {"dhcp4": False, "addresses": ["192.168.2.11/24"]},
        "wlan0": {"dhcp4": True},
    }
    append(desk, "group_data/all.py", 'topology = "router"\n')
    assert network(desk, "node1")["ethernets"] == {"eth0": {"dhcp4": True}}


def test_a_wifi_uplink_joins_with_the_hashed_key(desk: Path) -> None:
    append(desk, "group_data/head.py", 'wifi_ssid = "IEEE"\nwifi_country = "US"\n')
    (desk / ".cluster").mkdir()
    (desk / ".cluster/wifi_psk").write_text("password\n")
    (desk / ".cluster/wifi_psk").chmod(0o600)
    cluster = settings.load(desk)
    config = network(desk, "node1")
    wlan0 = config["wifis"]["wlan0"]
    assert wlan0["regulatory-domain"] == "US"
    psk = wlan0["access-points"]["IEEE"]["password"]
    assert psk.startswith("f42c6fc5")
    assert psk.endswith("10a12e")
    assert list(config["ethernets"]) == ["eth0"]
    assert "wifis" not in network(desk, "node2")
    assert "password" not in repr(cluster.wifi_psk())
    assert psk not in repr(cluster.wifi_psk())


@pytest.mark.parametrize("text", ["a" * 8, "z" * 63, "a good one", "0A" * 32])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_possible_wifi_keys_are_taken_as_they_are(tmp_path: Path, text: str, end: str) -> None:
    file = tmp_path / "key"
    file.write_bytes((text + end).encode())
    file.chmod(0o600)
    key = wifi.read_key(tmp_path, Path("key"))
    assert key.get_secret_value() == text
    assert len(wifi.hashed("home", key).get_secret_value()) == 64


def test_a_hashed_wifi_key_is_not_hashed_again(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("0A" * 32)
    (tmp_path / "key").chmod(0o600)
    key = wifi.read_key(tmp_path, Path("key"))
    assert wifi.hashed("home", key).get_secret_value() == "0a" * 32
