"""Hosts of pyinfra on which commands are really run, by this computer's sh."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import Config, Inventory, State, StringCommand
from pyinfra.api.host import Host
from pyinfra.connectors.util import CommandOutput, OutputLine

# For sh and -H -n; what is to be written to /run goes to the test's own folder.
SUDO = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
case "$1" in sh) sed "s|/run/bramble|$TMPDIR/bramble|g" | sh;; *) exec "$@";; esac
"""


@dataclass
class LocalNodes:
    """
    + state: pyinfra's, with hosts that are connected
    + executions: the command lines by host, pyinfra's sudo aside
    + unreachable: names of hosts that do not answer
    """

    state: State
    folder: Path
    executions: dict[str, list[str]] = field(default_factory=dict)
    unreachable: set[str] = field(default_factory=set)

    def count(self) -> dict[str, int]:
        """How many executions there were since the last count, by host."""
        found = {name: len(lines) for name, lines in self.executions.items()}
        self.executions.clear()
        return found

    def set_sudo(self, script: str) -> None:
        """What ``sudo`` is on all nodes."""
        (self.folder / "sudo").write_text(script)
        (self.folder / "sudo").chmod(0o755)

    def run(self, host: Host, command: StringCommand, **arguments: Any) -> Any:
        line = command.get_raw_value()
        self.executions.setdefault(host.name, []).append(line)
        if host.name in self.unreachable:
            raise OSError("no route to host")
        done = subprocess.run(
            ["sh", "-c", line],
            input=arguments.get("_stdin") or "",
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=os.environ
            | {
                "PATH": f"{self.folder}:{os.environ['PATH']}",
                "TMPDIR": str(self.folder),
                "NODE": host.name,
            },
        )
        lines = [OutputLine("stdout", each) for each in done.stdout.splitlines()]
        lines += [OutputLine("stderr", each) for each in done.stderr.splitlines()]
        return done.returncode == 0, CommandOutput(lines)


def make(monkeypatch: pytest.MonkeyPatch, folder: Path, *names: str) -> LocalNodes:
    """Make hosts of these names."""
    state = State(Inventory((list(names), {})), Config(SUDO=True), check_for_changes=False)
    for host in state.inventory:
        host.connected = True
        state.activate_host(host)
    nodes = LocalNodes(state, folder)
    nodes.set_sudo(SUDO)
    monkeypatch.setattr(Host, "run_shell_command", lambda host, *a, **k: nodes.run(host, *a, **k))
    return nodes
