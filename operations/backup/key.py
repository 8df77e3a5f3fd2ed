"""The key of the backups: a passphrase, or the identity of a recipient. Never shown or logged."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
from gevent.lock import RLock
from pyinfra.api.state import State

import runs
from formats import age
from messages import backups as messages
from remote.failures import HostFailure

VARIABLE = "BRAMBLE_BACKUP_PASSPHRASE"


class _Answer:
    """The passphrase that was typed in this run."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.given = ""


def encryption(state: State, method: str, key_file: str) -> Callable[[bytes], bytes] | None:
    """
    Return what encrypts a backup; None: it is not encrypted.

    + method: "off", "passphrase" or a recipient
    + key_file: has the passphrase; without it, and without the environment's, a person is asked
    + raises ``HostFailure``: there is no passphrase
    """
    if method == "off":
        return None
    if method != "passphrase":
        return partial(age.encrypt_to, recipient=method)
    return partial(age.encrypt_with, passphrase=passphrase(state, key_file, confirm=True))


def archive(state: State, path: Path, key_file: str) -> bytes:
    """
    Read an archive, and decrypt it if it is encrypted.

    + path: of the archive on this computer
    + key_file: as for ``encryption``, or with the recipient's identity
    + raises ``Unreadable``: another key, or the file is damaged; ``HostFailure``: there is no key;
      ``OSError``
    """
    content = path.read_bytes()
    if not content.startswith(age.BEGIN):
        return content
    if age.needs_passphrase(content):
        return age.decrypt(content, passphrase(state, key_file, confirm=False))
    identity = _read(key_file)
    if identity is None:
        raise HostFailure(messages.KEY_UNREADABLE(path=key_file, reason="it does not exist"))
    return age.decrypt(content, identity)


def passphrase(state: State, key_file: str, confirm: bool) -> str:
    """
    Return the passphrase: of the environment, of the file, or as it is typed, once in a run.

    + confirm: whether it is typed twice
    + raises ``HostFailure``: there is none
    """
    if given := os.environ.get(VARIABLE):
        return given
    if given := (_read(key_file) or "").removesuffix("\n").removesuffix("\r"):
        return given
    answer = runs.of(state).part(_Answer)
    with answer.lock:
        if not answer.given:
            if not sys.stdin.isatty():
                raise HostFailure(messages.NO_PASSPHRASE(path=key_file, variable=VARIABLE))
            answer.given = _typed(confirm)
        return answer.given


def _typed(confirm: bool) -> str:
    asked = ["Passphrase of the backup", "The same again"][: 2 if confirm else 1]
    try:
        typed = {
            click.prompt(f"    {each}", default="", show_default=False, hide_input=True, err=True)
            for each in asked
        }
    except click.Abort:  # Ctrl-D
        typed = {""}
    if len(typed) != 1 or typed == {""}:
        raise HostFailure(messages.PASSPHRASES_DIFFER())
    return str(typed.pop())


def _read(key_file: str) -> str | None:
    path = Path(key_file).expanduser()
    try:
        if path.stat().st_mode & 0o077:
            raise HostFailure(messages.KEY_PUBLIC(path=path))
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HostFailure(messages.KEY_UNREADABLE(path=path, reason=error.strerror)) from error
    except UnicodeDecodeError as error:
        raise HostFailure(messages.KEY_UNREADABLE(path=path, reason="it is not text")) from error
