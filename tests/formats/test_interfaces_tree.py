"""Which interfaces files are read, and one interface taken out of them."""

from __future__ import annotations

import pytest

from formats.interfaces import parse, render
from formats.interfaces_tree import (
    definitions,
    errors,
    flattened,
    holds_secret,
    is_read,
    says_nothing,
    started,
    without,
)

ROOT = "/etc/network/interfaces"
FOLDER = "/etc/network/interfaces.d"


def _iface(name: str) -> str:
    return f"iface {name} inet dhcp\n"


def _names(texts: dict[str, str]) -> list[str]:
    return [found.iface.name for found in definitions(texts)]


def test_source_reads_every_name_but_hidden_ones() -> None:
    texts = {
        ROOT: f"{_iface('first')}source {FOLDER}/*\n{_iface('last')}",
        f"{FOLDER}/eth0": _iface("eth0"),
        f"{FOLDER}/eth0.bak": _iface("bak"),
        f"{FOLDER}/.eth0.swp": _iface("swp"),
        f"{FOLDER}/deeper/eth1": _iface("eth1"),
        "/etc/network/eth2": _iface("eth2"),
    }
    assert _names(texts) == ["first", "eth0", "bak", "last"]


def test_source_directory_reads_plain_names_only() -> None:
    texts = {
        ROOT: "source-directory interfaces.d\n",
        f"{FOLDER}/eth0": _iface("eth0"),
        f"{FOLDER}/eth0.bak": _iface("bak"),
        f"{FOLDER}/eth0~": _iface("tilde"),
    }
    assert _names(texts) == ["eth0"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("interfaces.d/eth?", ["eth0", "eth1"]),
        ("interfaces.d/eth[!0]", ["eth1"]),
        ("interfaces.d/[ew]*[01]", ["eth0", "eth1", "wlan0"]),
        (f"{FOLDER}/eth0 {FOLDER}/wlan0", ["eth0", "wlan0"]),
        (f"{FOLDER}/eth1 {FOLDER}/*", ["eth1", "eth0", "wlan0"]),
        ("*/eth0", ["eth0"]),
        ("nowhere/*", []),
    ],
)
def test_patterns_are_the_shells(pattern: str, names: list[str]) -> None:
    texts = {ROOT: f"source {pattern}\n"}
    texts |= {f"{FOLDER}/{name}": _iface(name) for name in ("eth0", "eth1", "wlan0")}
    assert _names(texts) == names


def test_files_that_name_each_other_are_read_once() -> None:
    texts = {ROOT: f"source {FOLDER}/*\n", f"{FOLDER}/a": f"source {ROOT}\n{_iface('a')}"}
    assert _names(texts) == ["a"]


def test_of_a_file_with_an_error_counts_what_stands_before_it() -> None:
    texts = {
        ROOT: f"source {FOLDER}/*\n",
        f"{FOLDER}/a": f"{_iface('a')}auto a\nadress 10.0.0.1\n{_iface('b')}",
        f"{FOLDER}/c": _iface("c"),
    }
    assert _names(texts) == ["a", "c"]
    assert [(path, error.line) for path, error in errors(texts)] == [(f"{FOLDER}/a", 3)]


def test_an_error_in_the_first_line_of_a_file_is_found() -> None:
    texts = {ROOT: f"source {FOLDER}/*\n", f"{FOLDER}/a": "wrong\n"}
    assert [path for path, _ in errors(texts)] == [f"{FOLDER}/a"]


def test_a_file_to_come_is_known_to_be_read_or_not() -> None:
    assert is_read(f"{FOLDER}/eth0", {ROOT: f"source {FOLDER}/*\n"})
    assert not is_read(f"{FOLDER}/eth0.10", {ROOT: f"source-directory {FOLDER}\n"})
    assert not is_read(f"{FOLDER}/eth0", {ROOT: "# nothing\n"})
    assert not is_read(f"{FOLDER}/eth0", {})


def test_a_definition_knows_its_place() -> None:
    texts = {ROOT: f"source {FOLDER}/*\n", f"{FOLDER}/a": f"# a\nauto a\n{_iface('a')}"}
    assert [found.place for found in definitions(texts)] == [f"{FOLDER}/a, line 3"]


def test_one_interface_is_taken_out_and_the_rest_stays() -> None:
    text = (
        "# mine\nauto lo eth0\niface lo inet loopback\n\nallow-hotplug eth0\n"
        "iface eth0 inet static\n    # here\n    address 10.0.0.1/8\n\n# wifi\n"
        "auto   wlan0\niface wlan0 inet dhcp\n"
    )
    assert render(without(parse(text), "eth0")) == (
        "# mine\nauto lo\niface lo inet loopback\n\n\n# wifi\nauto   wlan0\niface wlan0 inet dhcp\n"
    )


def test_an_interface_that_is_left_with_ipv6_is_still_brought_up() -> None:
    text = "auto eth0\niface eth0 inet dhcp\niface eth0 inet6 auto\n"
    assert render(without(parse(text), "eth0")) == "auto eth0\niface eth0 inet6 auto\n"


def test_nothing_but_comments_says_nothing() -> None:
    assert says_nothing(without(parse("# x\n\nauto eth0\niface eth0 inet dhcp\n"), "eth0"))
    assert not says_nothing(parse("auto lo\n"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("auto eth0 lo\niface eth0 inet dhcp\n", {"auto"}),
        ("iface eth0 inet dhcp\n  auto\n  allow-hotplug\n", {"auto", "allow-hotplug"}),
        ("allow-auto eth0\n", {"auto"}),
        ("auto eth1\niface eth0 inet dhcp\n", set()),
    ],
)
def test_it_is_known_how_an_interface_is_started(text: str, words: set[str]) -> None:
    assert started(parse(text), "eth0") == words


def test_flattened_it_is_one_file_without_secrets() -> None:
    texts = {
        ROOT: f"# c\nauto eth0\nsource {FOLDER}/*\n",
        f"{FOLDER}/eth0": "iface eth0 inet dhcp\n  down bye",
        f"{FOLDER}/wlan0": "iface wlan0 inet dhcp\n  wpa-ssid x\n  wpa-psk 12345678\n",
    }
    assert flattened(texts) == (
        "auto eth0\niface eth0 inet dhcp\n  down bye\n"
        "iface wlan0 inet dhcp\n  wpa-ssid x\n    wpa-psk hidden\n"
    )


def test_a_secret_is_seen() -> None:
    assert holds_secret("iface wlan0 inet dhcp\n\twpa-psk 12345678\n")
    assert not holds_secret("iface wlan0 inet dhcp\n\twpa-ssid wpa-psk\n# wpa-psk x\n")
