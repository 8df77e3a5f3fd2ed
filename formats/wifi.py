"""
What a Wi-Fi network needs from a node: its name, the key made of its passphrase, a country.

Source: IEEE 802.11i, annex H.4 (how a passphrase becomes a key); wpa_supplicant.conf(5).
"""

from __future__ import annotations

import re
from hashlib import pbkdf2_hmac
from typing import Literal

Security = Literal["wpa2", "wpa3"]


class WifiError(ValueError):
    """A name, passphrase or country that no network can have. Never quotes the passphrase."""


def psk(passphrase: str, ssid: str) -> str:
    """
    The pre-shared key as 64 hexadecimal digits. It opens the network: a secret like the passphrase.

    + passphrase: 8 to 63 printable ASCII characters, or the 64 hexadecimal digits themselves
    + ssid: the network's name, 1 to 32 octets
    """

    name = _octets(ssid)
    if re.fullmatch(r"[0-9A-Fa-f]{64}", passphrase):
        return passphrase.lower()
    if not re.fullmatch(r"[\x20-\x7e]{8,63}", passphrase):
        found = f"{len(passphrase)} characters"
        if re.search(r"[^\x20-\x7e]", passphrase):
            found += ", not all of them printable ASCII"
        raise WifiError(
            f"the passphrase of Wi-Fi {ssid!r} has {found}:"
            " 8 to 63 printable ASCII characters are possible, or 64 hexadecimal digits"
        )
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
    The file that wpa_supplicant reads. For root's eyes only.

    + interface: whose file it is, for the comment
    + ssid: the network's name, 1 to 32 octets; written in hexadecimal, so that no name needs quotes
    + passphrase: as ``psk`` takes it; only the key made of it is written. With ``wpa3`` it is
      written itself: SAE has no other form of it
    + country: two capital letters (ISO 3166), which the radio's channels depend on
    + security: ``wpa3`` (SAE) for a network that takes nothing else
    + hidden: the network does not announce its name, and is asked for by it
    """

    if country is not None and not re.fullmatch(r"[A-Z]{2}", country):
        raise WifiError(f"Wi-Fi country {country!r} is no ISO 3166 code: two capitals, such as US")
    key = psk(passphrase, ssid)
    options = {"ssid": _octets(ssid).hex()}
    if hidden:
        options["scan_ssid"] = "1"
    if security == "wpa3":
        if key == passphrase.lower():
            raise WifiError(f"WPA3 of Wi-Fi {ssid!r} needs the passphrase, not its hash")
        # SAE protects management frames, always (IEEE 802.11w). In hexadecimal, as the name: "#"
        # begins a comment even within quotes, when there is a quote before it.
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
        raise WifiError(
            f"the name of Wi-Fi {ssid!r} has {len(octets)} octets: 1 to 32 are possible"
        )
    return octets
