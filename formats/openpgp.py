"""
Public keys in ASCII armour, as apt repositories publish them: their packets and fingerprints.

RFC 4880: armour in 6.2 (checksum 6.1), packet headers in 4.2, public key packets in 5.5.2,
fingerprints in 12.2. Nothing is verified but the armour's checksum: a fingerprint identifies the
key, and apt verifies what the key has signed.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode

from formats.unreadable import Unreadable

_BLOCK = re.compile(
    r"-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\r?\n(.*?)-----END PGP PUBLIC KEY BLOCK-----",
    re.DOTALL,
)
_PUBLIC_KEY = 6
# What else belongs to it: signature, trust, user id, subkey, user attribute, padding.
_COMPANIONS = (2, 12, 13, 14, 17, 21)


def fingerprints(text: str) -> list[str]:
    """
    Read the fingerprint of each primary key in an armoured text, in capital hexadecimal digits.

    + text: one or more armoured blocks, with only white space between them
    + raises ``Unreadable``: another kind of packet (a private key, a message), a damaged block, a
      key of an unknown version
    """
    blocks = _BLOCK.findall(text)
    if not blocks:
        raise Unreadable("no PGP PUBLIC KEY BLOCK")
    if _BLOCK.sub("", text).strip():
        raise Unreadable("text beside the PGP PUBLIC KEY BLOCK")
    packets = [packet for block in blocks for packet in _packets(_dearmour(block))]
    for tag, _ in packets:
        if tag not in (_PUBLIC_KEY, *_COMPANIONS):
            raise Unreadable(f"a packet that is not part of a public key (tag {tag})")
    found = [_fingerprint(body) for tag, body in packets if tag == _PUBLIC_KEY]
    if not found:
        raise Unreadable("no primary key")
    return found


def _dearmour(block: str) -> bytes:
    """The bytes of one block: header lines, an empty line, base64, a checksum of 24 bits."""
    lines = [line.strip() for line in block.splitlines()]
    if "" in lines:
        lines = lines[lines.index("") + 1 :]
    lines = [line for line in lines if line]
    checksum = lines.pop()[1:] if lines and lines[-1].startswith("=") else None
    try:
        data = b64decode("".join(lines), validate=True)
        desired = b64decode(checksum, validate=True) if checksum is not None else None
    except ValueError:
        raise Unreadable("damaged base64") from None
    if desired is not None and int.from_bytes(desired, "big") != _crc24(data):
        raise Unreadable("a wrong checksum: the key is damaged")
    return data


def _crc24(data: bytes) -> int:
    value = 0xB704CE
    for byte in data:
        value ^= byte << 16
        for _ in range(8):
            value <<= 1
            if value & 0x1000000:
                value ^= 0x1864CFB
    return value


def _packets(data: bytes) -> list[tuple[int, bytes]]:
    """Each packet's tag and body."""
    found = []
    at = 0
    try:
        while at < len(data):
            tag, length, at = _header(data, at)
            if at + length > len(data):
                raise IndexError
            found.append((tag, data[at : at + length]))
            at += length
    except IndexError:
        raise Unreadable("an incomplete last packet") from None
    return found


def _header(data: bytes, at: int) -> tuple[int, int, int]:
    """A packet's tag, its body's length, and where that body begins."""
    first = data[at]
    if not first & 0x80:
        raise Unreadable("bytes that are not an OpenPGP packet")
    if not first & 0x40:  # the old format: the length's own length is in the tag
        if first & 3 == 3:
            raise Unreadable("a packet without a length")
        size = 1 << (first & 3)
        if at + 1 + size > len(data):
            raise IndexError
        return (first >> 2) & 15, int.from_bytes(data[at + 1 : at + 1 + size], "big"), at + 1 + size
    tag, length = first & 63, data[at + 1]
    if length < 192:
        return tag, length, at + 2
    if length < 224:
        return tag, ((length - 192) << 8) + data[at + 2] + 192, at + 3
    if length < 255:
        raise Unreadable("a packet in parts, which a key never is")
    if at + 6 > len(data):
        raise IndexError
    return tag, int.from_bytes(data[at + 2 : at + 6], "big"), at + 6


def _fingerprint(body: bytes) -> str:
    if not body or body[0] != 4:
        raise Unreadable(f"a key of version {body[0] if body else 0}, and only 4 is known")
    return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()
