"""
The process behind one node: `python -m lab.supervisor LAB NODE GROUP`, started by `node.start`.

It connects the node's cables, boots it, reports its state, and boots it again when it asks for it.
It ends when the node is powered off, by itself or by a pulled plug.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lab import cgroup, containers, host, network, node, plan, seed
from lab.errors import LabError

# What systemd-nspawn exits with, under --keep-unit, when the machine asked to be booted again.
REBOOT = 133


def _listen(file: Path) -> socket.socket:
    """The socket on which nspawn and the node's systemd report (sd_notify(3))."""
    file.unlink(missing_ok=True)
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(file))
    notify.settimeout(0.2)
    return notify


def _watch(
    machine: subprocess.Popen[bytes],
    notify: socket.socket,
    lab: plan.Plan,
    this: plan.NodePlan,
    boots: int,
) -> int:
    """Report what the machine tells of itself until it ends; gives its exit status."""
    started = time.monotonic()
    leader = 0
    ready = False
    while machine.poll() is None:
        with contextlib.suppress(TimeoutError):
            message = notify.recv(4096).decode(errors="replace").splitlines()
            fields = dict(line.split("=", 1) for line in message if "=" in line)
            if "X_NSPAWN_LEADER_PID" in fields:
                leader = int(fields["X_NSPAWN_LEADER_PID"])
                # All its mounts are there, and its systemd has hardly begun.
                _make_room(containers.cover_settings, leader)
                node.report(lab, this, node.Status("booting", boots, leader))
            # systemd says so again after each daemon-reload.
            if fields.get("READY") == "1" and leader and not ready:
                ready = True
                _make_room(containers.open_cgroups, leader)
                seconds = round(time.monotonic() - started, 1)
                node.report(lab, this, node.Status("running", boots, leader, seconds))
            if fields.get("STOPPING") == "1":
                node.report(lab, this, node.Status("booting", boots, leader))
    return machine.returncode


def _make_room(make: Callable[[int], None], leader: int) -> None:
    """A node whose containers won't run is still a node: the failure is a line in the log."""
    try:
        make(leader)
    except LabError as error:
        print(error, file=sys.stderr, flush=True)


def supervise(lab: plan.Plan, this: plan.NodePlan, group: str) -> None:
    """Boot the node, again and again for as long as it asks for a reboot."""
    folder = seed.disk(lab.name, this.name)
    machine_group = f"{group}/{this.name}/machine"
    boots = 0
    again = True
    with _listen(folder / "notify") as notify:
        while again:
            boots += 1
            # Left-over groups of the last boot would keep the node's kubelet waiting.
            cgroup.end(machine_group)
            network.plug(lab, this)
            node.report(lab, this, node.Status("booting", boots))
            with (folder / "console.log").open("ab") as console:
                machine = subprocess.Popen(
                    cgroup.wrap(machine_group, node.machine_command(lab, this)),
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=console,
                    env=host.environment()
                    | node.machine_environment()
                    | {"NOTIFY_SOCKET": str(folder / "notify")},
                )
            status = _watch(machine, notify, lab, this, boots)
            print(f"boot {boots} of {this.name} ended with status {status}", flush=True)
            again = status == REBOOT
    cgroup.end(machine_group)
    network.unplug(lab, this)
    node.report(lab, this, node.Status("off", boots))


def main() -> int:
    """The command line: names of lab and node, and the lab's control group."""
    name, node_name, group = sys.argv[1:]
    lab = plan.load(name)
    if lab is None:
        print(f"there is no lab called {name}", file=sys.stderr)
        return 1
    os.chdir("/")  # no desk of a test is held by this process
    try:
        supervise(lab, lab.node(node_name), group)
    except LabError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
