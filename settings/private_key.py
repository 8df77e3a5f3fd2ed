"""The operator's own private key: whether it opens SSH connections."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from formats import ssh_config
from messages import settings as messages
from settings.fields import as_written

# The types of ssh-keygen that paramiko supports.
_KINDS = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
          "ecdsa-sha2-nistp521")  # fmt: skip


def check(project: Path, written: Path, agent: bool) -> None:
    """
    Check that a private key of the operator's own opens SSH connections; ssh-keygen judges.

    + written: as the settings have it
    + agent: whether pyinfra may ask an SSH agent
    + raises ``ValueError``
    """
    if unfit := ssh_config.unfit(written):
        raise ValueError(messages.PATH_NOT_FOR_SSH(characters=unfit))
    path, shown = project.absolute() / written, as_written(written)
    if path.suffix == ".pub":
        private = as_written(written.with_suffix(""))
        raise ValueError(messages.KEY_IS_PUBLIC(path=shown, private=private))
    if not path.is_file():
        instead = "the path of a private key, or None"
        raise ValueError(messages.NOT_A_FILE(path=shown, instead=instead))
    if not os.access(path, os.R_OK):
        raise ValueError(messages.KEY_UNREADABLE(path=shown))
    if path.stat().st_mode & 0o077:
        raise ValueError(messages.KEY_NOT_PRIVATE(path=shown))
    shown_public = as_written(public_half(written))
    command = ["ssh-keygen", "-y", "-P", "", "-f", str(path)]
    asked = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    encrypted = "passphrase" in asked.stderr
    if asked.returncode and not encrypted:
        reason = (asked.stderr.strip().splitlines() or ["?"])[-1].rpartition(": ")[2]
        raise ValueError(messages.NOT_A_KEY(path=shown, reason=reason))
    line = public_line(path).split()[:2]
    if not line or (not encrypted and asked.stdout.split()[:2] != line):
        raise ValueError(messages.PUBLIC_HALF_WRONG(path=shown, public=shown_public))
    if line[0] not in _KINDS:
        raise ValueError(messages.NOT_A_KEY(path=shown, reason=f"type {line[0]}"))
    if encrypted and not agent:
        raise ValueError(messages.KEY_NEEDS_AGENT(path=shown))
    if encrypted and line not in _held_by_agent():
        raise ValueError(messages.KEY_NOT_IN_AGENT(path=shown))


def _held_by_agent() -> list[list[str]]:
    said = subprocess.run(["ssh-add", "-L"], capture_output=True, text=True).stdout
    return [line.split()[:2] for line in said.splitlines()]


def public_line(private: Path) -> str:
    """Read the one line of the public half of a key; "" when that is not what the file has."""
    path = public_half(private)
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return "" if len(text.splitlines()) > 1 else text.strip()


def public_half(private: Path) -> Path:
    """The path of the public half, beside the private one."""
    return private.with_name(private.name + ".pub")
