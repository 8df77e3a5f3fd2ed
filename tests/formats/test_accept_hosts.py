"""Which hosts kubectl proxy answers: exactly those that were named."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.kubectl_proxy import accept_hosts, octet, pattern
from tests.said import saying

addresses = st.integers(0, 2**32 - 1).map(IPv4Address)
networks = st.tuples(addresses, st.integers(0, 32)).map(
    lambda pair: IPv4Network(pair, strict=False)
)


def accepts(option: str, host: str) -> bool:
    """As kubectl does it: split at commas, search anywhere."""
    return any(re.search(part, host) for part in option.split(","))


STRANGERS = [
    "192.168.10.7",
    "192x168y1.evil",
    "192.168.1.256",
    "192.168.1",
    "1192.168.1.1",
    "192.168.1.1.evil",
    "x192.168.1.1",
    "192.168.1.01",
    "192.168.2.1",
    "localhost",
    "192.168.1.1\n",
    "",
]


@pytest.mark.parametrize("host", STRANGERS)
def test_home_network_lets_nobody_else_in(host: str) -> None:
    # "\n": Go's $ is the very end of the text, Python's is not; HTTP has no such Host anyway.
    assert not accepts(accept_hosts(["192.168.1.0/24"]).replace("$", r"\Z"), host)


@pytest.mark.parametrize("host", ["192.168.1.0", "192.168.1.32", "192.168.1.100", "192.168.1.255"])
def test_home_network_is_let_in(host: str) -> None:
    assert accepts(accept_hosts(["192.168.1.0/24"]), host)


def test_names_are_escaped_and_know_no_case() -> None:
    option = accept_hosts(["localhost", "my-pi.lan"])
    assert accepts(option, "localhost")
    assert accepts(option, "My-Pi.LAN")
    assert not accepts(option, "my-piXlan")
    assert not accepts(option, "localhost.evil")
    assert not accepts(option, "my-pi.lan.evil")


def test_an_address_is_let_in_alone() -> None:
    option = accept_hosts(["192.168.1.32"])
    assert accepts(option, "192.168.1.32")
    assert not accepts(option, "192.168.1.3")
    assert not accepts(option, "192.168.1.320")


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("192.168.1", "SET005 '192.168.1'"),
        ("192.168.1.0/33", "SET005 '192.168.1.0/33'"),
        ("192.168.1.300", "SET005 '192.168.1.300'"),
        ("192.168.1.7/24", "SET009 192.168.1.0/24"),
        ("fe80::1", "SET005 'fe80::1'"),
        ("^192.168.1", "SET005 '^192.168.1'"),
        ("a,b", "SET005 'a,b'"),
        (".*", "SET005 '.*'"),
        ("", "SET005 ''"),
    ],
)
def test_anything_else_is_refused(host: str, message: str) -> None:
    with saying(message):
        pattern(host)


def test_no_host_at_all_is_refused() -> None:
    with saying("SET005 []"):
        accept_hosts([])


@given(networks, addresses)
def test_a_network_accepts_exactly_its_addresses(
    network: IPv4Network, address: IPv4Address
) -> None:
    assert accepts(accept_hosts([str(network)]), str(address)) == (address in network)


@given(networks, st.data())
def test_both_ends_and_their_neighbours_fall_on_the_right_side(
    network: IPv4Network, data: st.DataObject
) -> None:
    option = accept_hosts([str(network)])
    inside = data.draw(st.integers(int(network[0]), int(network[-1])))
    assert accepts(option, str(IPv4Address(inside)))
    for outside in (int(network[0]) - 1, int(network[-1]) + 1):
        if 0 <= outside < 2**32:
            assert not accepts(option, str(IPv4Address(outside)))


@given(st.integers(0, 255), st.integers(0, 255))
def test_octets_are_exact_and_free_of_commas(one: int, other: int) -> None:
    low, high = sorted((one, other))
    expression = octet(low, high)
    assert "," not in expression
    assert {n for n in range(400) if re.fullmatch(expression, str(n))} == set(range(low, high + 1))
