"""Encryption of backups: what bramble writes every age opens, and the other way round."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import pyrage
import pytest

from formats import age
from formats.unreadable import Unreadable
from messages import codes

CONTENT = b"secret" * 100_000


def identity() -> tuple[str, str]:
    made = pyrage.x25519.Identity.generate()
    return f"# created: today\n# public key: {made.to_public()}\n{made}\n", str(made.to_public())


def refused(file: bytes, key: str) -> list[str]:
    with pytest.raises(Unreadable) as caught:
        age.decrypt(file, key)
    return codes(str(caught.value))


def test_a_passphrase_opens_what_it_has_closed() -> None:
    file = age.encrypt_with(CONTENT, "correct horse")
    assert CONTENT[:50] not in file
    assert age.needs_passphrase(file)
    assert age.decrypt(file, "correct horse") == CONTENT
    assert refused(file, "wrong horse") == ["BAK003"]


def test_a_passphrase_that_costs_this_computer_too_much_is_not_called_wrong() -> None:
    file = age.encrypt_with(CONTENT, "correct horse")
    costly = re.sub(rb"(-> scrypt \S+) \d+", rb"\1 40", file)
    assert refused(costly, "correct horse") == ["BAK018"]


def test_the_identity_of_a_recipient_opens_it_and_no_other() -> None:
    text, public = identity()
    age.check_recipient(public)
    file = age.encrypt_to(CONTENT, public)
    assert not age.needs_passphrase(file)
    assert age.decrypt(file, text) == CONTENT
    assert refused(file, identity()[0]) == ["BAK003"]
    assert refused(file, "correct horse") == ["BAK003"]


def test_an_ssh_key_is_a_recipient(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    age.check_recipient(public)
    assert age.decrypt(age.encrypt_to(CONTENT, public), key.read_text()) == CONTENT


def test_the_program_age_opens_what_is_written_here_and_the_other_way_round(
    tmp_path: Path,
) -> None:
    text, public = identity()
    (tmp_path / "key").write_text(text)
    (tmp_path / "file").write_bytes(age.encrypt_to(CONTENT, public))
    opened = subprocess.run(
        ["age", "-d", "-i", tmp_path / "key", tmp_path / "file"], capture_output=True, check=True
    )
    assert opened.stdout == CONTENT
    closed = subprocess.run(["age", "-r", public], input=CONTENT, capture_output=True, check=True)
    assert age.decrypt(closed.stdout, text) == CONTENT


def test_the_program_age_opens_what_a_passphrase_has_closed(tmp_path: Path) -> None:
    """It reads the passphrase from its terminal alone."""
    (tmp_path / "file").write_bytes(age.encrypt_with(CONTENT, "correct horse"))
    child, terminal = pty.fork()
    if child == 0:
        os.execvp("age", ["age", "-d", "-o", str(tmp_path / "out"), str(tmp_path / "file")])
    assert b"passphrase" in os.read(terminal, 1000)
    os.write(terminal, b"correct horse\n")
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert (tmp_path / "out").read_bytes() == CONTENT


@pytest.mark.parametrize("at", [0, 30, 400, 50_000, -1])
def test_a_flipped_bit_is_seen(at: int) -> None:
    text, public = identity()
    file = bytearray(age.encrypt_to(CONTENT, public))
    file[at] ^= 1
    assert refused(bytes(file), text) == ["BAK003"]
    assert refused(bytes(file[:-7]), text) == ["BAK003"]


@pytest.mark.parametrize("key", ["AGE-SECRET-KEY-1QQQQ", "-----BEGIN OPENSSH PRIVATE KEY-----\n"])
def test_a_damaged_identity_is_none(key: str) -> None:
    assert refused(age.encrypt_to(b"", identity()[1]), key) == ["BAK004"]


@pytest.mark.parametrize("text", ["", "age1", "age1xyz", "ssh-rsa", "AGE-SECRET-KEY-1QQ"])
def test_what_is_no_recipient_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="SET005"):
        age.check_recipient(text)
