"""
What a Wi-Fi network needs from a node: its name, the key made of its passphrase, a country.

Source: IEEE 802.11i, annex H.4 (how a passphrase becomes a key); wpa_supplicant.conf(5).
"""

from __future__ import annotations

import re
from hashlib import pbkdf2_hmac


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


def configuration(interface: str, ssid: str, passphrase: str, country: str | None = None) -> str:
    """
    The file that wpa_supplicant reads. For root's eyes only.

    + interface: whose file it is, for the comment
    + ssid: the network's name, 1 to 32 octets; written in hexadecimal, so that no name needs quotes
    + passphrase: as ``psk`` takes it; only the key made of it is written
    + country: two capital letters (ISO 3166), which the radio's channels depend on
    """

    if country is not None and not re.fullmatch(r"[A-Z]{2}", country):
        raise WifiError(f"Wi-Fi country {country!r} is no ISO 3166 code: two capitals, such as US")
    lines = [f"# The Wi-Fi of {interface}. It holds the network's key: readable by root alone."]
    lines += [f"country={country}"] if country else []
    lines += ["network={", f"\tssid={_octets(ssid).hex()}", f"\tpsk={psk(passphrase, ssid)}", "}"]
    return "\n".join(lines) + "\n"


def _octets(ssid: str) -> bytes:
    octets = ssid.encode()
    if not 1 <= len(octets) <= 32:
        raise WifiError(
            f"the name of Wi-Fi {ssid!r} has {len(octets)} octets: 1 to 32 are possible"
        )
    return octets
