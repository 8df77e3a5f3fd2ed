"""cloud-init's files, read back as YAML; tests/lab/test_first_boot.py asks cloud-init itself."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address, IPv4Interface

import yaml
from hypothesis import given
from hypothesis import strategies as st

from formats import cloud_init

PEM = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1r\n"
    "ZXktdjE=\n"
    "-----END OPENSSH PRIVATE KEY-----\n"
)
HOST_KEY = cloud_init.HostKey(PEM, "ssh-ed25519 AAAAC3 node1")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHmNB4Vn7X2D4VvCe6mQpVfWw3cNqzYyJYlzD5cVhYhS me"
STATIC = cloud_init.Interface(
    "eth0",
    IPv4Interface("192.168.2.11/24"),
    gateway=IPv4Address("192.168.2.1"),
    nameservers=[IPv4Address("8.8.8.8")],
    search_domains=["home.arpa"],
)
WIFI = cloud_init.Interface(
    "wlan0", access_point=cloud_init.AccessPoint("Café: no. 1", "pass: word#1", "DE")
)


BOARD = cloud_init.Board(
    hostname="node1",
    user="pi",
    authorized_keys=[KEY],
    host_key=HOST_KEY,
    timezone="Europe/Lisbon",
    locale="pt_PT.UTF-8",
    ending='#!/bin/sh\nrm "$0"\n',
)


def test_user_data_begins_with_the_line_that_cloud_init_looks_for() -> None:
    assert cloud_init.user_data(BOARD).startswith("#cloud-config\n")


def test_user_data() -> None:
    data = yaml.safe_load(cloud_init.user_data(BOARD))
    assert "userconfig" in data.pop("bootcmd")[0]
    assert data == {
        "hostname": "node1",
        "manage_etc_hosts": False,
        "timezone": "Europe/Lisbon",
        "locale": "pt_PT.UTF-8",
        "users": [
            {
                "name": "pi",
                "groups": ["adm", "sudo"],
                "shell": "/bin/bash",
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "lock_passwd": True,
                "ssh_authorized_keys": [KEY],
            }
        ],
        "disable_root": True,
        "ssh_pwauth": False,
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": PEM, "ed25519_public": HOST_KEY.public},
        "write_files": [
            {"path": "/etc/hosts", "content": "127.0.1.1\tnode1\n", "append": True},
            {"path": "/etc/locale.gen", "content": "pt_PT.UTF-8 UTF-8\n", "append": True},
            {
                "path": "/var/lib/cloud/scripts/per-boot/bramble-first-boot",
                "permissions": "0700",
                "content": BOARD.ending,
            },
        ],
        "runcmd": ["systemctl -q is-enabled ssh || systemctl enable --now ssh"],
    }


def test_a_key_is_written_as_lines() -> None:
    text = cloud_init.user_data(BOARD)
    assert "  ed25519_private: |\n    -----BEGIN OPENSSH PRIVATE KEY-----\n    b3Blb" in text


def test_meta_data() -> None:
    assert yaml.safe_load(cloud_init.meta_data("node1-1", "node1")) == {
        "instance-id": "node1-1",
        "local-hostname": "node1",
        "dsmode": "local",
    }


def test_network_config() -> None:
    assert yaml.safe_load(cloud_init.network_config([STATIC, WIFI])) == {
        "version": 2,
        "ethernets": {
            "eth0": {
                "dhcp4": False,
                "addresses": ["192.168.2.11/24"],
                "routes": [{"to": "0.0.0.0/0", "via": "192.168.2.1"}],
                "nameservers": {"addresses": ["8.8.8.8"], "search": ["home.arpa"]},
            }
        },
        "wifis": {
            "wlan0": {
                "dhcp4": True,
                "regulatory-domain": "DE",
                "access-points": {"Café: no. 1": {"password": "pass: word#1"}},
            }
        },
    }


def test_secrets_are_not_in_what_a_log_would_show() -> None:
    assert "b3BlbnNzaC1r" not in repr(HOST_KEY)
    assert "pass: word" not in repr(WIFI)


def test_wpa3_and_a_hidden_network_are_said_in_netplans_words() -> None:
    point = cloud_init.AccessPoint("home", "a passphrase", "DE", "wpa3", hidden=True)
    text = cloud_init.network_config([cloud_init.Interface("wlan0", access_point=point)])
    assert yaml.safe_load(text)["wifis"]["wlan0"]["access-points"] == {
        "home": {"auth": {"key-management": "sae", "password": "a passphrase"}, "hidden": True}
    }


@given(
    ssid=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=32),
    psk=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=8, max_size=63),
    country=st.sampled_from(["NO", "US", "DE"]),  # NO is a YAML 1.1 boolean when not quoted
)
def test_any_wifi_name_and_key_survive(ssid: str, psk: str, country: str) -> None:
    point = cloud_init.AccessPoint(ssid, psk, country)
    text = cloud_init.network_config([cloud_init.Interface("wlan0", access_point=point)])
    wlan0 = yaml.safe_load(text)["wifis"]["wlan0"]
    assert wlan0["access-points"] == {ssid: {"password": psk}}
    assert wlan0["regulatory-domain"] == country


@given(
    hostname=st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True),
    user=st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True),
)
def test_any_name_stays_a_text(hostname: str, user: str) -> None:
    """ "1e3", "on" and "0x1" are no numbers and no booleans here."""
    data = yaml.safe_load(
        cloud_init.user_data(dataclasses.replace(BOARD, hostname=hostname, user=user))
    )
    assert (data["hostname"], data["users"][0]["name"]) == (hostname, user)
    meta = yaml.safe_load(cloud_init.meta_data(hostname, hostname))
    assert meta["local-hostname"] == hostname
