"""Keys of Wi-Fi networks, and the file that holds one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.wifi import WifiError, configuration, psk


def test_the_key_is_the_standards() -> None:
    assert psk("password", "IEEE") == (
        "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"
    )
    assert psk("ThisIsAPassword", "ThisIsASSID") == (
        "0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af"
    )


def test_a_key_stays_a_key() -> None:
    assert psk("AB" * 32, "any") == "ab" * 32


@pytest.mark.parametrize(
    "passphrase", ["", "1234567", "x" * 64, "x" * 65, "eight ch\xe4r", "tab\tinside"]
)
def test_an_impossible_passphrase_is_refused_and_not_told(passphrase: str) -> None:
    with pytest.raises(WifiError, match="the passphrase") as error:
        psk(passphrase, "home")
    assert not passphrase or passphrase not in str(error.value)


@pytest.mark.parametrize("ssid", ["", "x" * 33, "ü" * 17])
def test_an_impossible_name_is_refused(ssid: str) -> None:
    with pytest.raises(WifiError, match="the name"):
        psk("password", ssid)


def test_the_file_has_the_key_and_never_the_passphrase() -> None:
    name = 'Nét "1"'
    key = psk("correct horse", name)
    assert configuration("wlan0", name, "correct horse", "ES") == (
        "# The Wi-Fi of wlan0. It holds the network's key: readable by root alone.\n"
        f"country=ES\nnetwork={{\n\tssid=4ec3a97420223122\n\tpsk={key}\n}}\n"
    )


def test_wpa3_and_a_hidden_network_are_said_in_wpa_supplicants_words() -> None:
    text = configuration("wlan0", "home", 'pass" word#1', "DE", "wpa3", hidden=True)
    assert text.splitlines()[1:] == [
        "country=DE",
        "network={",
        "\tssid=686f6d65",
        "\tscan_ssid=1",
        "\tkey_mgmt=SAE",
        "\tieee80211w=2",
        "\tsae_password=7061737322" + b" word#1".hex(),
        "}",
    ]
    assert "country" not in configuration("wlan0", "home", "password")


@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=8, max_size=63),
    st.text(min_size=1, max_size=8).filter(lambda name: len(name.encode("utf-8", "replace")) < 33),
)
def test_every_possible_passphrase_gives_a_key(passphrase: str, ssid: str) -> None:
    assert len(bytes.fromhex(psk(passphrase, ssid))) == 32
