"""
wpa_supplicant's configuration: the network's name, the key made of its passphrase, a country.

Source: IEEE 802.11i, annex H.4 (how a passphrase becomes a key); wpa_supplicant.conf(5).
"""

from __future__ import annotations

import re
from hashlib import pbkdf2_hmac
from typing import Literal

Security = Literal["wpa2", "wpa3"]


class WifiError(ValueError):
    """A name or a passphrase that no network can have; never contains the passphrase."""


def psk(passphrase: str, ssid: str) -> str:
    """
    Compute the pre-shared key, 64 hexadecimal digits. It is as secret as the passphrase.

    + passphrase: 8 to 63 printable ASCII characters, or the 64 hexadecimal digits themselves
    + ssid: the network's name, 1 to 32 bytes
    + raises ``WifiError``
    """
    name = _octets(ssid)
    if re.fullmatch(r"[0-9A-Fa-f]{64}", passphrase):
        return passphrase.lower()
    if not re.fullmatch(r"[\x20-\x7e]{8,63}", passphrase):
        raise WifiError("not the passphrase of a Wi-Fi network")
    return pbkdf2_hmac("sha1", passphrase.encode("ascii"), name, 4096, 32).hex()


def configuration(
    interface: str,
    ssid: str,
    passphrase: str,
    country: str | None = None,
    security: Security = "wpa2",
    hidden: bool = False,
) -> str:
    """
    Write wpa_supplicant's configuration, which only root may read.

    + interface: its name, for the comment
    + ssid: the network's name, 1 to 32 bytes; written in hexadecimal, so that no name needs quotes
    + passphrase: as for ``psk``; only the key made of it is written. With ``wpa3`` it is written
      itself: SAE has no other form of it
    + country: two capital letters (ISO 3166), on which the radio's channels depend
    + security: ``wpa3`` (SAE) for a network that takes nothing else
    + hidden: the network does not announce its name, and is searched by it
    + raises ``WifiError``
    """
    key = psk(passphrase, ssid)
    options = {"ssid": _octets(ssid).hex()}
    if hidden:
        options["scan_ssid"] = "1"
    if security == "wpa3":
        # SAE requires protected management frames (IEEE 802.11w). The password is in hexadecimal,
        # as "#" begins a comment even within quotes when there is a quote before it.
        password = passphrase.encode("ascii").hex()
        options |= {"key_mgmt": "SAE", "ieee80211w": "2", "sae_password": password}
    else:
        options["psk"] = key
    lines = [f"# The Wi-Fi of {interface}. It holds the network's key: readable by root alone."]
    lines += [f"country={country}"] if country else []
    lines += ["network={", *(f"\t{name}={value}" for name, value in options.items()), "}"]
    return "\n".join(lines) + "\n"


def _octets(ssid: str) -> bytes:
    octets = ssid.encode()
    if not 1 <= len(octets) <= 32:
        raise WifiError("not the name of a Wi-Fi network")
    return octets
