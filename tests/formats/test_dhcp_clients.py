"""Our lines in the DHCP clients' files, and everything else left as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from formats.dhcp_clients import dhclient, dhcpcd

THEIRS = "hostname\nduid\ninterface eth1\nstatic ip_address=10.0.0.1/8\n"
HEAD = "# bramble: interfaces(5) says what is to be done with these interfaces\n"


def test_our_lines_come_before_any_block() -> None:
    text = dhcpcd(dhcpcd(THEIRS, deny="eth0"), background=True)
    assert text == f"{HEAD}background\ndenyinterfaces eth0\n{THEIRS}"
    assert dhcpcd(text, deny="wlan0") == f"{HEAD}background\ndenyinterfaces eth0 wlan0\n{THEIRS}"


def test_an_interface_is_allowed_again() -> None:
    text = dhcpcd(dhcpcd(THEIRS, deny="eth0"), deny="wlan0")
    assert dhcpcd(text, allow="eth0") == f"{HEAD}denyinterfaces wlan0\n{THEIRS}"
    assert dhcpcd(dhcpcd(text, allow="eth0"), allow="wlan0") == THEIRS
    assert dhcpcd(THEIRS, allow="eth0") == THEIRS


_names = st.lists(st.sampled_from(("eth0", "eth1", "wlan0")), unique=True)


@given(st.text(), _names, st.booleans())
def test_once_is_as_good_as_twice_and_all_can_be_taken_back(
    theirs: str, names: list[str], background: bool
) -> None:
    theirs = theirs.replace("# bramble", "")
    text = dhcpcd(theirs, background)
    for name in names:
        text = dhcpcd(text, deny=name)
        assert dhcpcd(text, background, name) == text
    for name in names:
        text = dhcpcd(text, allow=name)
    assert text == dhcpcd(theirs, background)


def test_dhclient_waits_less_and_is_told_once() -> None:
    theirs = "request routers;\n#timeout 60;\n"
    text = dhclient(theirs)
    assert text.startswith(theirs)
    assert "\ntimeout 20;\nretry 20;\n" in text
    assert dhclient(text) == text
