"""The Wi-Fi key: read from a private file, checked, hashed. It is never part of a message."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from pydantic import SecretStr

_PASSPHRASE = re.compile(r"[ -~]{8,63}")  # IEEE 802.11, annex M.4.1: printable ASCII
_HASHED = re.compile(r"[0-9A-Fa-f]{64}")


def read_key(desk: Path, file: Path) -> SecretStr:
    """Read the key, the file's one line.

    + file: relative to the desk, or absolute

    Raises `ValueError` when the file can't be read, others can read it too, or the key is
    impossible.
    """
    try:
        mode = (desk / file).stat().st_mode
        text = (desk / file).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ValueError(
            # Without its name: someone may have written the key itself here.
            f"the file that it names can't be read ({error.strerror}): "
            "write the Wi-Fi key into that file, as its one line"
        ) from None
    if mode & 0o077:
        raise ValueError(f"others can read the Wi-Fi key in {file}: chmod 600 {file}")
    key = text.removesuffix("\n").removesuffix("\r")
    if not (_PASSPHRASE.fullmatch(key) or _HASHED.fullmatch(key)):
        raise ValueError(
            f"the Wi-Fi key in {file} is impossible (its length is {len(key)}): a key is one line "
            "of 8 to 63 ASCII characters, or 64 hexadecimal digits"
        )
    return SecretStr(key)


def hashed(ssid: str, key: SecretStr) -> SecretStr:
    """The key as 64 hexadecimal digits, from which the passphrase can't be read (WPA-PSK:
    PBKDF2-HMAC-SHA1 with the network's name as salt, 4096 rounds, 32 bytes)."""
    text = key.get_secret_value()
    if _HASHED.fullmatch(text):
        return SecretStr(text.lower())
    digest = hashlib.pbkdf2_hmac("sha1", text.encode(), ssid.encode(), 4096, 32)
    return SecretStr(digest.hex())
