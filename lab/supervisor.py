"""
The process behind one node: `python -m lab.supervisor LAB NODE GROUP`, started by `node.start`.

It connects the node's cables, boots it, reports its state, and boots it again after a reboot. It
ends when the node is switched off or its power is cut.
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

from lab import cgroup, containers, disk, host, network, node, plan
from lab.errors import LabError

# The exit status of systemd-nspawn, with --keep-unit, when the machine reboots.
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
    """Report the machine's state until it ends; return its exit status."""
    started = time.monotonic()
    leader = 0
    ready = False
    while machine.poll() is None:
        with contextlib.suppress(TimeoutError):
            message = notify.recv(4096).decode(errors="replace").splitlines()
            fields = dict(line.split("=", 1) for line in message if "=" in line)
            if "X_NSPAWN_LEADER_PID" in fields:
                leader = int(fields["X_NSPAWN_LEADER_PID"])
                # Its mounts are done, and its systemd has just started.
                _prepare(containers.cover_settings, leader)
                node.report(lab, this, node.Status("booting", boots, leader))
            # systemd reports it again after each daemon-reload.
            if fields.get("READY") == "1" and leader and not ready:
                ready = True
                _prepare(containers.open_cgroups, leader)
                seconds = round(time.monotonic() - started, 1)
                node.report(lab, this, node.Status("running", boots, leader, seconds))
            if fields.get("STOPPING") == "1":
                node.report(lab, this, node.Status("booting", boots, leader))
    return machine.returncode


def _prepare(make: Callable[[int], None], leader: int) -> None:
    """Prepare for containers; a failure is only logged, as the node boots without them too."""
    try:
        make(leader)
    except LabError as error:
        print(error, file=sys.stderr, flush=True)


def supervise(lab: plan.Plan, this: plan.NodePlan, group: str) -> None:
    """Boot the node, and again after each reboot."""
    folder = disk.directory(lab.name, this.name)
    machine_group = f"{group}/{this.name}/machine"
    boots = 0
    again = True
    with _listen(folder / "notify") as notify:
        while again:
            boots += 1
            # The kubelet would wait for groups that the last boot left.
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
    os.chdir("/")  # so that this process holds no directory of a test
    try:
        supervise(lab, lab.node(node_name), group)
    except LabError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
