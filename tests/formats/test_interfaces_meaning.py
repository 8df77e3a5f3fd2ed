"""What interfaces files mean: two ways to say one thing are equal, and mistakes are named."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.interfaces.desired import Interface
from formats.interfaces.meaning import Meaning, meaning
from formats.interfaces.syntax import Iface, parse, render
from formats.interfaces.tree import definitions, resolve


def _meaning(body: str, head: str = "iface eth0 inet static") -> Meaning:
    iface = parse(f"{head}\n{body}").items[0]
    assert isinstance(iface, Iface)
    return meaning(resolve(iface))


@pytest.mark.parametrize(
    "body",
    [
        "address 192.168.2.11\nnetmask 255.255.255.0\n",
        "address 192.168.2.11\nnetmask 24\n",
        "netmask 255.255.255.0\naddress 192.168.2.11\nnetwork 192.168.2.0\n",
        "address 192.168.2.11\nnetmask 255.255.255.0\nbroadcast 192.168.2.255\n",
        "address 192.168.2.11/24\nbroadcast +\n",
        "address 192.168.2.11/255.255.255.0\n",
        "address 192.168.2.11\n",  # the old class C
    ],
)
def test_the_netmask_form_equals_the_prefix_form(body: str) -> None:
    assert _meaning(body) == _meaning("address 192.168.2.11/24\n")


@pytest.mark.parametrize(
    "body",
    [
        "address 192.168.2.12/24\n",
        "address 192.168.2.11/16\n",
        "address 192.168.2.11/24\ngateway 192.168.2.1\n",
        "address 192.168.2.11/24\nbroadcast 192.168.2.254\n",
        "address 192.168.2.11/24\nmtu 1400\n",
        "address 192.168.2.11/24\nup true\n",
        "address 192.168.2.11/24\naddress 192.168.2.11/24\n",
        "address 192.168.002.011/24\n",  # ip(8) reads it as octal
    ],
)
def test_another_meaning_is_not_equal(body: str) -> None:
    assert _meaning(body) != _meaning("address 192.168.2.11/24\n")


def test_order_counts_for_hooks_alone() -> None:
    one = _meaning("address 10.0.0.1/8\nmtu 1400\nup a\ndown c\npost-up b\n")
    other = _meaning("pre-down c\nup a\nmtu 01400\nup b\naddress 10.0.0.1/8\n")
    assert one == other
    assert one != _meaning("address 10.0.0.1/8\nmtu 1400\nup b\nup a\ndown c\n")


def test_quotes_around_a_networks_name_and_passphrase_make_no_difference() -> None:
    head = "iface wlan0 inet dhcp"
    quoted = _meaning('wpa-ssid "My net"\nwpa-psk "0123456 8"\n', head)
    assert quoted == _meaning("wpa-essid My net\nwpa-psk 0123456 8\n", head)
    assert quoted != _meaning('wpa-ssid "My net\nwpa-psk "0123456 8"\n', head)


def test_a_hardware_address_is_one_in_any_case_and_with_its_class() -> None:
    assert _meaning("hwaddress ether 0A:0B:0C:0D:0E:0F\n", "iface eth0 inet manual") == _meaning(
        "hwaddress 0a:0b:0c:0d:0e:0f\n", "iface eth0 inet manual"
    )


def test_ipv6_has_prefix_64_by_itself() -> None:
    head = "iface eth0 inet6 static"
    assert _meaning("address fd00:0::1\n", head) == _meaning("address fd00::1/64\n", head)


def test_what_is_inherited_counts() -> None:
    text = (
        "iface base inet static\n  address 10.0.0.1/24\n  up a\n"
        "iface eth0 inherits base\n  up b\n  mtu 9000\n"
    )
    found = definitions({"/etc/network/interfaces": text})[1]
    assert (found.family, found.method) == ("inet", "static")
    assert meaning(found) == _meaning("address 10.0.0.1/24\nmtu 9000\nup a\nup b\n")


# --- what this project writes -------------------------------------------------------------------


def test_an_interface_is_written_in_todays_form() -> None:
    wanted = Interface(
        "eth0",
        "static",
        IPv4Interface("192.168.2.12/24"),
        IPv4Address("192.168.2.11"),
        "both",
        post_up=("echo a", "echo b"),
    )
    assert render(wanted.file()) == (
        "auto eth0\nallow-hotplug eth0\niface eth0 inet static\n    address 192.168.2.12/24\n"
        "    gateway 192.168.2.11\n    post-up echo a\n    post-up echo b\n"
    )


def test_a_radio_has_its_configuration_beside() -> None:
    wanted = Interface("wlan0", "dhcp", wpa_conf="/etc/w.conf")
    assert render(wanted.file()) == (
        "auto wlan0\niface wlan0 inet dhcp\n    wpa-conf /etc/w.conf\n"
    )


LINES = st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1).filter(
    lambda line: line == line.strip() and not line.endswith("\\")
)


@given(
    st.ip_addresses(v=4, network="10.0.0.0/8"),
    st.integers(8, 30),
    st.sampled_from(("auto", "allow-hotplug", "both")),
    st.lists(LINES, max_size=3),
)
def test_what_is_written_is_read_as_meant(
    address: IPv4Address, prefix: int, start: str, post_up: list[str]
) -> None:
    wanted = Interface(
        "eth0",
        "static",
        IPv4Interface(f"{address}/{prefix}"),
        start=start,  # type: ignore[arg-type]
        post_up=tuple(post_up),
    )
    read = definitions({"/etc/network/interfaces": render(wanted.file())})
    assert [meaning(found) for found in read] == [meaning(resolve(wanted.stanza()))]
