"""Which interfaces files are read, and one interface taken out of them."""

from __future__ import annotations

import pytest

from formats.interfaces.syntax import parse, render
from formats.interfaces.tree import (
    asked,
    definitions,
    errors,
    flattened,
    holds_secret,
    is_empty,
    is_read,
    overriding_lines,
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
        (f'"{FOLDER}/eth0"', []),
        ('"interfaces.d"/eth0', ["eth0"]),
        (f'{FOLDER[:5]}"{FOLDER[5:]}"/eth0', ["eth0"]),
        (f"'{FOLDER}'/eth1 '{FOLDER}'/wlan0", ["wlan0"]),
        ("interfaces.d/[z-a]*", []),
        ("interfaces.d/[^e]*", ["wlan0"]),
        ("interfaces.d/eth[[:digit:]]", ["eth0", "eth1"]),
        ("interfaces.d/[", []),
        ("interfaces.d/{eth0,eth1}", []),
        ('interfaces.d/"*"', []),
        ("interfaces.d/\\*", []),
        ('interfaces.d/eth"0"', ["eth0"]),
        ("interfaces.d/eth[[:xdigit:]]", ["eth0", "eth1"]),
        ("interfaces.d/eth[[=0=][.1.]]", ["eth0", "eth1"]),
        ("interfaces.d/[[:nosuch:]]*", []),
        ("interfaces.d/eth0\rinterfaces.d/eth1", []),
        ("$(echo interfaces.d/eth0)", []),
        ("`echo interfaces.d/eth0`", []),
        ('"interfaces.d/eth0', []),
        ("interfaces.d/eth0;interfaces.d/eth1", []),
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
    assert is_empty(without(parse("# x\n\nauto eth0\niface eth0 inet dhcp\n"), "eth0"))
    assert not is_empty(parse("auto lo\n"))


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


def test_ifupdown_is_asked_which_files_it_reads_and_where_it_stops() -> None:
    said = [
        f"ifquery: parsing file {ROOT}",
        "ifquery: reading directory /srv/net",
        "ifquery: parsing file /srv/net/a b",
        "ifquery: /srv/net/a b:3: misplaced option",
        f"ifquery: {ROOT}:2: extra parameter for the iface line not understood and ignored: x",
        f"ifquery: parsing file {ROOT}",
    ]
    assert asked(said) == ([ROOT, "/srv/net/a b"], ["/srv/net/a b:3: misplaced option"])
    assert asked([]) == ([], [])


def test_what_ifupdown_reads_by_its_own_word_is_read() -> None:
    texts = {ROOT: 'source "$HOME"/a\n', "/root/a": _iface("a"), "/root/b": _iface("b")}
    read = [ROOT, "/root/a"]
    assert [found.iface.name for found in definitions(texts, read)] == ["a"]
    assert is_read("/root/a", texts, read)
    assert not is_read("/root/b", texts, read)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("iface a inet manual inherits zz\n", 1),
        ("iface a inet manual inherits b\niface b inet manual\n", 1),
        ("iface b inet6 manual\niface a inet manual inherits b\n", 2),
        ("iface b inherits b\n", 1),
    ],
)
def test_who_inherits_from_nobody_is_where_ifupdown_stops(text: str, line: int) -> None:
    assert [error.line for _, error in errors({ROOT: text})] == [line]


@pytest.mark.parametrize(
    "text",
    [
        "iface b inet6 manual\niface a inherits b\n",
        "iface b inet manual\niface b inet manual inherits b\n",
        f"source {FOLDER}/*\niface a inet manual inherits b\n",
    ],
)
def test_who_inherits_from_what_stands_before_is_read(text: str) -> None:
    assert errors({ROOT: text, f"{FOLDER}/b": "iface b inet manual\n"}) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("mapping eth*\n  script /x\n", "maps eth0"),
        ("mapping e?h[0-9]\n  script /x\n", "maps eth0"),
        ("mapping [^w]*\n  script /x\n", "maps eth0"),
        ("mapping eth[[:digit:]]\n  script /x\n", "maps eth0"),
        ("iface br0 inet dhcp\n  bridge_ports regex wlan.* eth.*\n", "port of br0"),
        ("iface br0 inet dhcp\n  bridge_ports regex wlan.* noregex eth0\n", "port of br0"),
        ("iface bond0 inet dhcp\n  bond-slaves all\n", "port of bond0"),
        ("rename eth0=lan0\n", "renames eth0 to lan0"),
        ("rename wlan0=x e*=y\n", "renames eth0 to y"),
        ("iface br0 inet dhcp\n  bridge_ports none eth0\n", "port of br0"),
        ("iface br0 inet dhcp\n  bridge-ports all\n", "port of br0"),
        ("iface br0 inet dhcp\n  bridge_ports regex eth.*\n", "port of br0"),
        ("iface bond0 inet dhcp\n  slaves eth0 eth1\n", "port of bond0"),
        ("iface eth0 inet manual\n  bond-master bond0\n", "port of bond0"),
    ],
)
def test_it_is_seen_who_else_has_a_say_in_an_interface(text: str, what: str) -> None:
    ((place, found),) = overriding_lines("eth0", {ROOT: text})
    assert place.startswith(ROOT)
    assert what in found


@pytest.mark.parametrize(
    "text",
    [
        "mapping wlan*\n  script /x\n",
        "rename eth0=eth0 eth1=x\n",
        "iface br0 inet dhcp\n  bridge_ports eth01 wlan0\n",
        "iface br0 inet dhcp\n  bridge_ports none\n",
        "iface br0 inet dhcp\n  bridge_ports regex wlan.* [\n",
        "iface br0 inet dhcp\n  bridge_ports regex wlan.* noregex eth.*\n",
        "mapping [^e]*\n  script /x\n",
        "iface eth0 inet dhcp\n",
    ],
)
def test_others_have_no_say_in_it(text: str) -> None:
    assert list(overriding_lines("eth0", {ROOT: text})) == []


def test_flattened_it_does_not_depend_on_the_order_of_its_files() -> None:
    texts = {
        ROOT: f"source {FOLDER}/*\niface eth0 inet static inherits base\n  up hello\n",
        f"{FOLDER}/base": "iface base inet static\n  address 10.0.0.1/8\n  wpa-psk 12345678\n",
    }
    flat = flattened(texts, [ROOT, f"{FOLDER}/base"])
    assert "inherits" not in flat
    assert flattened(texts).endswith(
        "iface eth0 inet static\n    address 10.0.0.1/8\n    wpa-psk hidden\n    up hello\n"
    )
