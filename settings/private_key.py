"""The operator's own private key: whether it opens SSH connections."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from settings.fields import as_written

# What paramiko can use of what ssh-keygen can make.
_KINDS = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
          "ecdsa-sha2-nistp521")  # fmt: skip


def check(desk: Path, written: Path, agent: bool) -> None:
    """See that a private key of the operator's own opens SSH connections; ssh-keygen is the judge.

    + written: as the settings have it
    + agent: whether pyinfra may ask an SSH agent

    Raises `ValueError`.
    """
    path, shown = desk.absolute() / written, as_written(written)
    if path.suffix == ".pub":
        private = as_written(written.with_suffix(""))
        raise ValueError(f"{shown} is the public half: write {private}")
    if path.is_dir():
        raise ValueError(f"{shown} is a folder: write the path of a key in it, or None")
    if not path.exists():
        raise ValueError(f"{shown} does not exist: make it with ssh-keygen -f, or write None")
    if not os.access(path, os.R_OK):
        raise ValueError(f"{shown} can't be read by you: chown it")
    if path.stat().st_mode & 0o077:
        raise ValueError(f"{shown} can be read by others, which ssh refuses: chmod 600 {shown}")
    public, remedy = (
        _public_half(path),
        f"ssh-keygen -y -f {shown} > {as_written(_public_half(written))}",
    )
    command = ["ssh-keygen", "-y", "-P", "", "-f", str(path)]
    asked = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    encrypted = "passphrase" in asked.stderr
    if asked.returncode and not encrypted:
        why = (asked.stderr.strip().splitlines() or ["?"])[-1].rpartition(": ")[2]
        raise ValueError(f"{shown} is not a private key ({why}): make one with ssh-keygen -f")
    if not public.is_file():
        raise ValueError(f"{as_written(_public_half(written))} does not exist: {remedy}")
    line = public.read_text(encoding="utf-8", errors="replace").split()[:2]
    if not encrypted and asked.stdout.split()[:2] != line:
        raise ValueError(f"{as_written(_public_half(written))} is another key's: {remedy}")
    if line[:1] and line[0] not in _KINDS:
        raise ValueError(f"{shown} is of kind {line[0]}: make an ed25519 key with ssh-keygen -f")
    if encrypted and not agent:
        raise ValueError(
            f"{shown} has a passphrase: write ssh_allow_agent = True and run ssh-add {shown}"
        )
    if encrypted and line not in _held_by_agent():
        raise ValueError(f"{shown} has a passphrase and no SSH agent holds it: ssh-add {shown}")


def _held_by_agent() -> list[list[str]]:
    said = subprocess.run(["ssh-add", "-L"], capture_output=True, text=True).stdout
    return [line.split()[:2] for line in said.splitlines()]


def _public_half(private: Path) -> Path:
    return private.with_name(private.name + ".pub")
