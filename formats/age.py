"""
Encrypted files in the format of age (age-encryption.org/v1), which every `age -d` opens.

A file is encrypted with a passphrase, or to a recipient: the public key of an identity.
"""

from __future__ import annotations

from typing import Any

import pyrage

from formats.unreadable import Unreadable
from messages import backups as messages
from messages.settings import INVALID

BEGIN = b"age-encryption.org/v1\n"
_SCRYPT = BEGIN + b"-> scrypt "
_IDENTITY = "AGE-SECRET-KEY-1"


def check_recipient(text: str) -> None:
    """Raise ``ValueError`` for a text that is not a recipient: "age1…" or an SSH public key."""
    _recipient(text)


def encrypt_to(content: bytes, recipient: str) -> bytes:
    """Encrypt to a recipient, as ``check_recipient`` accepts it."""
    return bytes(pyrage.encrypt(content, [_recipient(recipient)]))


def encrypt_with(content: bytes, passphrase: str) -> bytes:
    """Encrypt with a passphrase."""
    return bytes(pyrage.passphrase.encrypt(content, passphrase))


def needs_passphrase(file: bytes) -> bool:
    """Whether a file was encrypted with a passphrase, and not to a recipient."""
    return file.startswith(_SCRYPT)


def decrypt(file: bytes, key: str) -> bytes:
    """
    Decrypt a file.

    + key: its passphrase; or the recipient's identity: the text of the file that `age-keygen` or
      `ssh-keygen` has made
    + raises ``Unreadable``: another key, or the file is damaged; this computer is too slow for it
    """
    try:
        if needs_passphrase(file):
            return bytes(pyrage.passphrase.decrypt(file, key))
        return bytes(pyrage.decrypt(file, _identities(key)))
    except pyrage.DecryptError as error:
        # How much work a passphrase may cost follows from how fast this computer is just now.
        is_slow = "Excessive work" in str(error)
        said = messages.DECRYPTS_TOO_SLOWLY if is_slow else messages.NOT_DECRYPTED
        raise Unreadable(said()) from error


def _recipient(text: str) -> Any:
    kind = pyrage.ssh.Recipient if text.startswith("ssh-") else pyrage.x25519.Recipient
    try:
        return kind.from_str(text)
    except pyrage.RecipientError:
        instead = "the public key that `age-keygen` prints, age1…"
        raise ValueError(INVALID(value=repr(text), kind="a recipient", instead=instead)) from None


def _identities(text: str) -> list[Any]:
    try:
        if "PRIVATE KEY" in text:
            return [pyrage.ssh.Identity.from_buffer(text.encode())]
        lines = [line.strip() for line in text.splitlines()]
        found = [each for each in lines if each.startswith(_IDENTITY)]
        return [pyrage.x25519.Identity.from_str(each) for each in found]
    except pyrage.IdentityError as error:
        raise Unreadable(messages.NO_IDENTITY()) from error
