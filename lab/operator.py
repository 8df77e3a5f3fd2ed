"""Commands of the operator: in its namespace, as the person who called."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lab import host, network

# Prepares .cluster/ as a run of pyinfra does; the code may be in another directory.
PREPARE = [sys.executable, "-c", "import settings; settings.prepare('inventory.py')"]
CODE = {"PYTHONPATH": str(Path(__file__).parent.parent)}


def command(lab: str, argv: Sequence[str]) -> list[str]:
    """The command that runs `argv` in the operator's namespace, without the rights of sudo."""
    become = []
    person = host.caller()
    if person:
        user, group = person
        become = ["setpriv", f"--reuid={user}", f"--regid={group}", "--init-groups", "--"]
    return network.inside(lab, "operator", [*become, *argv])


def environment() -> dict[str, str]:
    """The caller's environment, where the tools beside this Python come first."""
    bin_directory = Path(sys.executable).parent
    return host.environment() | {
        "PATH": f"{bin_directory}:{os.environ.get('PATH', '')}:{host.PATH}",
        "LC_ALL": os.environ.get("LC_ALL", "C.UTF-8"),
    }


def ssh(project: Path, node: str, *argv: str) -> list[str]:
    """The ssh command to a node, with .cluster/ssh_config."""
    return ["ssh", "-F", str(project / ".cluster" / "ssh_config"), node, *argv]


def without_questions(ssh_command: Sequence[str]) -> list[str]:
    """An ssh command that fails instead of asking for a password."""
    return [ssh_command[0], "-o", "BatchMode=yes", *ssh_command[1:]]


def own(folder: Path) -> None:
    """Give files that root made to the person behind sudo."""
    person = host.caller()
    if person and folder.is_dir():
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, *person, follow_symlinks=False)


def put_aside(project: Path) -> None:
    """Save known_hosts, which has the boards' keys, while the nodes are virtual."""
    folder = project / ".cluster"
    folder.mkdir(mode=0o700, exist_ok=True)
    known, kept = folder / "known_hosts", folder / "known_hosts.kept"
    if not kept.exists():
        kept.write_bytes(known.read_bytes() if known.exists() else b"")


def give_back(project: Path) -> None:
    """Restore known_hosts."""
    kept = project / ".cluster" / "known_hosts.kept"
    if kept.exists():
        kept.replace(kept.with_name("known_hosts"))
