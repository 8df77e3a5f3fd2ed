"""The Wi-Fi key: read from a private file and checked. It is never part of a message."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from formats.wifi import WifiError, psk


def read(desk: Path, file: Path, hashed: bool = True) -> SecretStr:
    """Read the key, the file's one line.

    + file: relative to the desk, or absolute
    + hashed: whether 64 hexadecimal digits will do for a passphrase

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
    try:
        psk(key, "any")
    except WifiError:
        raise ValueError(
            f"the Wi-Fi key in {file} is impossible (its length is {len(key)}): a key is one line "
            "of 8 to 63 ASCII characters, or 64 hexadecimal digits"
        ) from None
    if len(key) == 64 and not hashed:
        raise ValueError(f"the key in {file} is a hash, and WPA3 needs the passphrase: write that")
    return SecretStr(key)
