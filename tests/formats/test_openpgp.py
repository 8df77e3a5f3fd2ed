"""Fingerprints of public keys: what a repository may put into its key file, and what not."""

import base64
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.openpgp import fingerprints
from tests.said import saying

# Made by gpg for this test and thrown away; the fingerprints are those that gpg prints.
SAMPLE = (Path(__file__).parent / "samples" / "sample-key.asc").read_text()
PRIMARY = "AFFC9A91E4668A5D4D274C9CFE12C3761238F2F9"


def crc24(data: bytes) -> int:
    """RFC 4880, 6.1, bit by bit."""
    value = 0xB704CE
    for byte in data:
        for bit in range(8):
            carry = (value >> 23 & 1) ^ (byte >> (7 - bit) & 1)
            value = (value << 1 & 0xFFFFFF) ^ (0x864CFB if carry else 0)
    return value


def armour(data: bytes, header: str = "") -> str:
    body = base64.encodebytes(data).decode()
    check = base64.b64encode(crc24(data).to_bytes(3, "big")).decode()
    kind = "PGP PUBLIC KEY BLOCK"
    return f"-----BEGIN {kind}-----\n{header}\n{body}={check}\n-----END {kind}-----\n"


def packet(tag: int, body: bytes) -> bytes:
    """In the old format, with two bytes of length."""
    return bytes([0x80 | tag << 2 | 1]) + len(body).to_bytes(2, "big") + body


def new_packet(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 192:
        length = bytes([size])
    elif size < 8384:
        length = bytes([(size - 192 >> 8) + 192, size - 192 & 255])
    else:
        length = b"\xff" + size.to_bytes(4, "big")
    return bytes([0xC0 | tag]) + length + body


def fingerprint(body: bytes) -> str:
    return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()


def test_a_key_of_gpg_has_the_fingerprints_that_gpg_prints() -> None:
    assert fingerprints(SAMPLE) == [PRIMARY]  # the subkey is not one to trust by itself


def test_a_header_line_and_windows_line_ends_change_nothing() -> None:
    begin, rest = SAMPLE.split("\n", 1)
    text = f"{begin}\nVersion: GnuPG v2.0.15 (GNU/Linux)\n{rest}"
    assert fingerprints(text) == fingerprints(SAMPLE)
    assert fingerprints(text.replace("\n", "\r\n")) == fingerprints(SAMPLE)


def test_two_blocks_are_two_keys() -> None:
    assert fingerprints(SAMPLE + "\n" + SAMPLE) == [PRIMARY, PRIMARY]


@given(st.lists(st.binary(max_size=9000), min_size=1, max_size=3), st.booleans())
def test_every_packet_length_gives_its_key(bodies: list[bytes], new: bool) -> None:
    bodies = [b"\x04" + body for body in bodies]
    make = new_packet if new else packet
    found = fingerprints(armour(b"".join(make(6, body) for body in bodies)))
    assert found == [fingerprint(body) for body in bodies]


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_block_is_refused(at: int, change: int) -> None:
    lines = SAMPLE.splitlines()
    data = bytearray(base64.b64decode("".join(lines[2:-2])))
    data[at % len(data)] ^= change
    body = base64.b64encode(bytes(data)).decode()
    with pytest.raises(ValueError, match="checksum"):
        fingerprints("\n".join([*lines[:2], body, *lines[-2:]]))


KEY = b"\x04" + b"key material"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html>not found</html>", "FMT001 no PGP PUBLIC KEY BLOCK"),
        (SAMPLE.replace("PUBLIC", "PRIVATE"), "FMT001 no PGP PUBLIC KEY BLOCK"),
        (SAMPLE + "deb http://evil ./\n", "FMT001 text beside the PGP PUBLIC KEY BLOCK"),
        (armour(packet(5, KEY)), "FMT001 a packet that is not part of a public key (tag 5)"),
        (
            armour(packet(6, KEY) + packet(5, KEY)),
            "FMT001 a packet that is not part of a public key (tag 5)",
        ),
        (armour(packet(14, KEY)), "FMT001 no primary key"),
        (armour(packet(13, b"only a name")), "FMT001 no primary key"),
        (armour(packet(6, b"\x06" + KEY)), "FMT001 a key of version 6, and only 4 is known"),
        (armour(packet(6, KEY)[:-3]), "FMT001 an incomplete last packet"),
        (armour(packet(6, KEY) + b"\x99"), "FMT001 an incomplete last packet"),
        (armour(b"\x9b" + KEY), "FMT001 a packet without a length"),
        (armour(b"\xc6\xe1" + KEY), "FMT001 a packet in parts, which a key never is"),
        (armour(b"plain text"), "FMT001 bytes that are not an OpenPGP packet"),
        (SAMPLE.replace("mDME", "m!ME"), "FMT001 damaged base64"),
    ],
)
def test_what_is_no_public_key_is_refused_with_the_reason(text: str, message: str) -> None:
    with saying(message):
        fingerprints(text)
