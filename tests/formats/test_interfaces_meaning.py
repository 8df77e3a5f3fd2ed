"""What interfaces files mean: two ways to say one thing are equal, and mistakes are named."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.interfaces.desired import Interface
from formats.interfaces.meaning import Meaning, meaning, problems
from formats.interfaces.syntax import parse, render
from formats.interfaces.tree import definitions, resolve


def _meaning(body: str, head: str = "iface eth0 inet static") -> Meaning:
    return meaning(resolve(parse(f"{head}\n{body}").ifaces[0]))


def _problems(body: str, head: str = "iface eth0 inet static") -> list[str]:
    return problems(resolve(parse(f"{head}\n{body}").ifaces[0]))


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


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("address 1.2.3.999/24\n", "address 1.2.3.999/24 is no IPv4 address"),
        ("address 192.168.02.11/24\n", "address 192.168.02.11/24 is no IPv4 address"),
        ("address 10.0.0.1/33\n", "address 10.0.0.1/33 is no IPv4 address"),
        (
            "address 10.0.0.1\nnetmask 255.0.255.0\n",
            "address 10.0.0.1 with netmask 255.0.255.0 is no IPv4 address",
        ),
        ("address 10.0.0.1\n", "address 10.0.0.1 has no prefix: ifupdown takes /8"),
        ("gateway 10.0.0.1\n", "address is missing"),
        (
            "address 10.0.0.1/8\naddress 10.0.0.2/8\n",
            "address is given twice: 10.0.0.1/8 and 10.0.0.2/8",
        ),
        (
            "address 10.0.0.1/8\ngatway 10.0.0.2\n",
            "gatway is no option of inet static: did you mean gateway?",
        ),
        (
            "address 192.168.2.11/24\ngateway 192.168.3.1\n",
            "gateway 192.168.3.1 is not in 192.168.2.0/24: did you mean 192.168.2.1?",
        ),
        (
            "address 192.168.2.11/24\ngateway 192.168.2.11\n",
            "gateway 192.168.2.11 is the interface's own address",
        ),
        ("address 192.168.2.11/24\ngateway router\n", "gateway router is no IPv4 address"),
        (
            "address 192.168.2.255/24\n",
            "address 192.168.2.255 is the network's own: no node can have it in 192.168.2.0/24",
        ),
        (
            "address 192.168.2.1/24\nnetwork 192.168.0.0\n",
            "network 192.168.0.0 does not fit address 192.168.2.1/24: did you mean 192.168.2.0?",
        ),
        (
            "address 192.168.2.1/24\nbroadcast 192.168.2.0\n",
            "broadcast 192.168.2.0 does not fit address 192.168.2.1/24:"
            " did you mean 192.168.2.255?",
        ),
    ],
)
def test_what_ifupdown_takes_without_a_word_is_named(body: str, problem: str) -> None:
    assert problem in _problems(body)


def test_an_option_of_another_method_is_named() -> None:
    assert _problems("gateway 192.168.1.1\n", "iface wlan0 inet dhcp") == [
        "gateway is no option of inet dhcp: ifupdown ignores it"
    ]


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("iface eth0 inet static", "address 192.168.2.11/24\ngateway 192.168.2.1\nup a\nup a\n"),
        ("iface eth0 inet static", "address 10.0.0.1/32\npointopoint 10.9.9.9\ngateway 10.9.9.9\n"),
        ("iface eth0 inet6 static", "address fd00::1/64\ngateway fe80::1\n"),
        ("iface wlan0 inet dhcp", "wpa-ssid x\nwpa-psk y\nhostname z\n"),
        ("iface br0 inet manual", "bridge_ports eth0\nsome-script-of-others 1\n"),
        ("iface ppp0 inet ppp", "provider isp\n"),
    ],
)
def test_what_is_right_has_no_problem(head: str, body: str) -> None:
    assert _problems(body, head) == []


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
    assert wanted.problems() == []
    assert render(wanted.file()) == (
        "auto eth0\nallow-hotplug eth0\niface eth0 inet static\n    address 192.168.2.12/24\n"
        "    gateway 192.168.2.11\n    post-up echo a\n    post-up echo b\n"
    )


def test_a_radio_has_its_configuration_beside() -> None:
    wanted = Interface("wlan0", "dhcp", wpa_conf="/etc/w.conf")
    assert render(wanted.file()) == (
        "auto wlan0\niface wlan0 inet dhcp\n    wpa-conf /etc/w.conf\n"
    )


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (Interface("eth 0", "manual"), "'eth 0' is no name that an interface can have"),
        (Interface("../eth0", "manual"), "'../eth0' is no name that an interface can have"),
        (Interface("a-name-of-16-cha", "dhcp"), "'a-name-of-16-cha' is no name that"),
        (Interface("eth0", "static"), "address is missing"),
        (
            Interface("eth0", "dhcp", gateway=IPv4Address("10.0.0.1")),
            "method dhcp takes neither address nor gateway",
        ),
        (Interface("eth0", "dhcp", post_up=("a\nb",)), "is no single command line"),
        (Interface("eth0", "dhcp", post_up=("",)), "is no single command line"),
        (Interface("eth0", "dhcp", post_up=("a \\",)), "is no single command line"),
    ],
)
def test_what_cannot_be_written_is_named(wanted: Interface, problem: str) -> None:
    assert any(problem in found for found in wanted.problems())


@given(
    st.ip_addresses(v=4, network="10.0.0.0/8"),
    st.integers(8, 30),
    st.sampled_from(("auto", "allow-hotplug", "both")),
    st.lists(st.text(st.characters(codec="ascii", exclude_categories=["C"])), max_size=3),
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
    if wanted.problems():
        return
    read = definitions({"/etc/network/interfaces": render(wanted.file())})
    assert [meaning(found) for found in read] == [meaning(resolve(wanted.stanza()))]
