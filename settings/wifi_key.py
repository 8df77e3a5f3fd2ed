"""The Wi-Fi key, in a private file. It is never part of a message."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from formats.wifi import WifiError, psk
from messages import settings as messages


def read(project: Path, file: Path, hashed: bool = True) -> SecretStr:
    """
    Read the key, the file's one line.

    + file: relative to the folder of inventory.py, or absolute
    + hashed: whether 64 hexadecimal digits are accepted in place of a passphrase
    + raises ``ValueError``: the file can't be read, others can read it too, or the key is invalid
    """
    try:
        mode = (project / file).stat().st_mode
        text = (project / file).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ValueError(messages.WIFI_KEY_UNREADABLE(reason=error.strerror)) from None
    if mode & 0o077:
        raise ValueError(messages.WIFI_KEY_PUBLIC(path=file))
    key = text.removesuffix("\n").removesuffix("\r")
    try:
        psk(key, "any")
    except WifiError:
        raise ValueError(messages.WIFI_KEY_INVALID(path=file, length=len(key))) from None
    if len(key) == 64 and not hashed:
        raise ValueError(messages.WIFI_KEY_HASHED(path=file))
    return SecretStr(key)
