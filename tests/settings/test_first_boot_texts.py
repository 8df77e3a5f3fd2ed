"""What each node is told at its first boot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import settings
from settings import first_boot, wifi_key
from tests.project import behind_a_router
from tests.said import says


def append(project: Path, file: str, text: str) -> None:
    with (project / file).open("a") as opened:
        opened.write(text)


def network(project: Path, name: str) -> Any:
    cluster = settings.load(project)
    return yaml.safe_load(first_boot.boot_files(cluster, cluster.node(name))["network-config"])


def first_address(project: Path, name: str) -> None:
    text = (project / "inventory.py").read_text()
    new = text.replace(f'("{name}", {{', f'("{name}", {{"first_address": "192.168.1.150", ')
    assert new != text
    (project / "inventory.py").write_text(new)


def test_user_data_lets_the_operator_in(project: Path) -> None:
    cluster = settings.load(project)
    data = yaml.safe_load(first_boot.boot_files(cluster, cluster.node("node2"))["user-data"])
    assert data["hostname"] == "node2"
    (user,) = data["users"]
    assert user["name"] == "pi"
    assert user["ssh_authorized_keys"] == [settings.operator_public_key(cluster)]
    key = settings.host_key(cluster, cluster.node("node2"))
    assert data["ssh_keys"] == {"ed25519_private": key.private, "ed25519_public": key.public}


def test_a_head_whose_radio_has_no_network_is_told(project: Path) -> None:
    cluster = settings.load(project)
    (remark,) = first_boot.remarks(cluster, cluster.first_control_plane)
    assert says(remark, "SET115 wlan0 & node1")
    assert first_boot.remarks(cluster, cluster.node("node2")) == []


@pytest.mark.parametrize(
    "setting",
    ["", 'uplink_interface = "eth1"\n', 'wifi_ssid = "home"\nwifi_country = "DE"\n'],
)
def test_a_gateway_with_another_uplink_is_not_told_of_a_radio(project: Path, setting: str) -> None:
    key = project / ".cluster/wifi_psk"
    key.parent.mkdir(mode=0o700)
    key.touch(mode=0o600)
    key.write_text("correct horse\n")
    append(project, "group_data/all.py", setting)
    if not setting:
        behind_a_router(project)
    cluster = settings.load(project)
    assert first_boot.remarks(cluster, cluster.first_control_plane) == []


def test_the_same_settings_give_the_same_card(project: Path) -> None:
    cluster = settings.load(project)
    assert first_boot.boot_files(cluster, cluster.first_control_plane) == first_boot.boot_files(
        cluster, cluster.first_control_plane
    )


def test_no_two_nodes_are_the_same_instance(project: Path) -> None:
    cluster = settings.load(project)
    made = {first_boot.boot_files(cluster, node)["meta-data"] for node in cluster.nodes}
    assert len(made) == 3


def test_a_worker_behind_the_head_is_static(project: Path) -> None:
    assert network(project, "node2") == {
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


def test_a_gateway_has_its_uplink_too(project: Path) -> None:
    assert network(project, "node1")["ethernets"] == {
        "eth0": {"dhcp4": False, "addresses": ["192.168.2.11/24"]},
        "wlan0": {"dhcp4": True},
    }
    append(project, "group_data/all.py", 'uplink_method = "static"\n')
    assert network(project, "node1")["ethernets"]["wlan0"] == {
        "dhcp4": False,
        "addresses": ["192.168.1.32/24"],
        "routes": [{"to": "0.0.0.0/0", "via": "192.168.1.1"}],
        "nameservers": {"addresses": ["8.8.8.8", "8.8.4.4", "192.168.1.1"], "search": []},
    }


def test_with_a_router_all_nodes_are_alike(project: Path) -> None:
    behind_a_router(project)
    append(project, "group_data/all.py", 'search_domains = ["home.arpa"]\n')
    for number in (1, 2, 3):
        assert network(project, f"node{number}")["ethernets"] == {
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


def test_a_node_with_a_first_address_begins_on_dhcp(project: Path) -> None:
    first_address(project, "node1")
    append(project, "group_data/all.py", 'uplink_method = "static"\n')
    assert network(project, "node1")["ethernets"] == {
        "eth0": {"dhcp4": False, "addresses": ["192.168.2.11/24"]},
        "wlan0": {"dhcp4": True},
    }
    behind_a_router(project)
    assert network(project, "node1")["ethernets"] == {"eth0": {"dhcp4": True}}


def test_a_wifi_uplink_joins_with_the_hashed_key(project: Path) -> None:
    append(project, "group_data/all.py", 'wifi_ssid = "IEEE"\nwifi_country = "US"\n')
    (project / ".cluster").mkdir()
    (project / ".cluster/wifi_psk").write_text("password\n")
    (project / ".cluster/wifi_psk").chmod(0o600)
    cluster = settings.load(project)
    config = network(project, "node1")
    wlan0 = config["wifis"]["wlan0"]
    assert wlan0["regulatory-domain"] == "US"
    psk = wlan0["access-points"]["IEEE"]["password"]
    assert psk.startswith("f42c6fc5")
    assert psk.endswith("10a12e")
    assert list(config["ethernets"]) == ["eth0"]
    assert "wifis" not in network(project, "node2")
    assert "password" not in repr(cluster.wifi_psk())
    assert psk not in repr(cluster.wifi_psk())


def test_wifi_is_on_the_card_of_the_gateway_be_it_a_worker(project: Path) -> None:
    (project / "inventory.py").write_text(
        'control_plane = [("node1", {"address": "192.168.2.11"})]\n'
        'workers = [("node2", {"address": "192.168.2.12", "uplink_address": "192.168.1.32"})]\n'
    )
    cluster = settings.load(project)
    assert len(first_boot.remarks(cluster, cluster.node("node2"))) == 1
    assert first_boot.remarks(cluster, cluster.node("node1")) == []
    append(project, "group_data/all.py", 'wifi_ssid = "IEEE"\nwifi_country = "US"\n')
    (project / ".cluster").mkdir()
    (project / ".cluster/wifi_psk").write_text("password\n")
    (project / ".cluster/wifi_psk").chmod(0o600)
    assert "wifis" not in network(project, "node1")
    assert network(project, "node1")["ethernets"]["eth0"]["routes"] == [
        {"to": "0.0.0.0/0", "via": "192.168.2.12"}
    ]
    assert list(network(project, "node2")["wifis"]) == ["wlan0"]


@pytest.mark.parametrize("text", ["a" * 8, "z" * 63, "a good one", "0A" * 32])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_possible_wifi_keys_are_taken_as_they_are(tmp_path: Path, text: str, end: str) -> None:
    file = tmp_path / "key"
    file.write_bytes((text + end).encode())
    file.chmod(0o600)
    key = wifi_key.read(tmp_path, Path("key"))
    assert key.get_secret_value() == text


def test_a_hashed_wifi_key_is_refused_for_wpa3(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("0A" * 32)
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(ValueError, match="WPA3 needs the passphrase"):
        wifi_key.read(tmp_path, Path("key"), hashed=False)


IMAGES = "console=serial0,115200 console=tty1 root=PARTUUID=4f8a-02 rootwait resize\n"


def test_the_kernel_counts_memory_and_knows_the_radios_country(project: Path) -> None:
    cluster = settings.load(project)
    line = first_boot.cmdline(cluster, cluster.first_control_plane, IMAGES)
    assert line == IMAGES.replace("\n", " cgroup_enable=memory\n")
    append(project, "group_data/all.py", 'wifi_ssid = "home"\nwifi_country = "DE"\n')
    (project / ".cluster").mkdir(exist_ok=True)
    (project / ".cluster/wifi_psk").write_text("password\n")
    (project / ".cluster/wifi_psk").chmod(0o600)
    cluster = settings.load(project)
    radio = first_boot.cmdline(cluster, cluster.first_control_plane, line)
    assert radio == line.replace("\n", " cfg80211.ieee80211_regdom=DE\n")
    assert first_boot.cmdline(cluster, cluster.first_control_plane, radio) == radio
    assert first_boot.cmdline(cluster, cluster.workers[0], line) == line
    moved = radio.replace("=DE", "=FR")
    assert first_boot.cmdline(cluster, cluster.first_control_plane, moved) == radio


def test_no_command_line_is_told(project: Path) -> None:
    cluster = settings.load(project)
    with pytest.raises(ValueError, match="FMT001"):
        first_boot.cmdline(cluster, cluster.first_control_plane, "\n")


def test_hypriotos_gets_one_file_with_the_network_in_it(project: Path) -> None:
    cluster = settings.load(project)
    files = first_boot.boot_files(cluster, cluster.node("node2"), "cloud-init-0.7.9")
    assert sorted(files) == ["meta-data", "user-data"]
    written = {
        entry["path"]: entry["content"]
        for entry in yaml.safe_load(files["user-data"])["write_files"]
    }
    assert "address 192.168.2.12/24" in written["/etc/network/interfaces.d/eth0"]
    assert "gateway 192.168.2.11" in written["/etc/network/interfaces.d/eth0"]
    assert "nameserver 192.168.1.1" in written["/etc/resolv.conf"]


def test_time_zone_and_language_are_the_settings(project: Path) -> None:
    append(project, "group_data/all.py", 'timezone = "Asia/Kolkata"\nlocale = "en_IN.UTF-8"\n')
    cluster = settings.load(project)
    for dialect in ("cloud-init", "cloud-init-0.7.9"):
        data = yaml.safe_load(
            first_boot.boot_files(cluster, cluster.first_control_plane, dialect)["user-data"]
        )
        assert (data["timezone"], data["locale"]) == ("Asia/Kolkata", "en_IN.UTF-8")


def test_the_board_is_known_before_its_first_boot(project: Path) -> None:
    cluster = settings.load(project)
    first_boot.pin(cluster, cluster.node("node2"))
    files = first_boot.boot_files(cluster, cluster.node("node2"))
    public = yaml.safe_load(files["user-data"])["ssh_keys"]["ed25519_public"].split()[:2]
    (line,) = (project / ".cluster/known_hosts").read_text().splitlines()
    assert line.split() == ["node2,192.168.2.12", *public]
    assert (project / ".cluster/host_keys/node2_ed25519").stat().st_mode & 0o777 == 0o600
