"""
One node: its machine (systemd-nspawn), its state, power, and console.

The process that boots it again after a reboot is `supervisor.py`; what it reports is read here.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from lab import cgroup, disk, host, kernel, network, waiting
from lab.errors import LabError
from lab.plan import NodePlan, Plan
from messages import lab as messages

State = Literal["off", "booting", "running"]

# Capabilities that no process of a node has: setting the host's clock or alarms, loading modules,
# using hardware, suspending the machine. CAP_SYSLOG is kept: with `kernel.dmesg_restrict=1`,
# Debian's default, /dev/kmsg needs it, and the kubelet needs /dev/kmsg. The system call that clears
# the kernel's log is filtered instead.
DROPPED = ("sys_time", "wake_alarm", "block_suspend", "sys_module", "sys_rawio")

# The console (nsenter) passes by nspawn's system call filter. Without these capabilities too there
# is no mount, no swapon, no clearing of the host's kernel log, and no writing of its sysctls.
CONSOLE_DROPPED = (*DROPPED, "sys_admin", "sys_boot", "syslog")

# systemd(1): "reboots the machine via the reboot.target unit".
SIGNAL_REBOOT = signal.SIGRTMIN + 5


@dataclass(frozen=True)
class Status:
    """
    What the supervisor last reported.

    + boots: how often the node was started since its supervisor began
    + leader: the node's PID 1, as the host numbers it; 0 when it is off
    + seconds: from power to "running" at the last boot; 0 before
    """

    state: State = "off"
    boots: int = 0
    leader: int = 0
    seconds: float = 0.0


def status_file(plan: Plan, node: NodePlan) -> Path:
    """The file of the supervisor's reports."""
    return disk.directory(plan.name, node.name) / "status.json"


def report(plan: Plan, node: NodePlan, status: Status) -> None:
    """Write the status."""
    host.replace(status_file(plan, node), json.dumps(asdict(status)))


def status(plan: Plan, node: NodePlan, group: str) -> Status:
    """
    The node's status now: a node without a supervisor is off, whatever was reported.

    + group: the lab's control group
    """
    if not cgroup.pids(f"{group}/{node.name}/supervisor"):
        return Status()
    try:
        return Status(**json.loads(status_file(plan, node).read_text()))
    except (OSError, ValueError):
        return Status("booting")


def machine_command(plan: Plan, node: NodePlan) -> list[str]:
    """
    The command that boots the node.

    Its overlay is mounted in a mount namespace of the machine's own: when the machine is gone, so
    is the mount, however it ended.
    """
    folder = disk.directory(plan.name, node.name)
    machine_id = (folder / "upper/etc/machine-id").read_text().strip()
    overlay = f"lowerdir={plan.rootfs},upperdir={folder}/upper,workdir={folder}/work"
    modules = kernel.modules_directory()
    nspawn = [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        f"--directory={folder}/merged",
        f"--machine={plan.name}-{node.name}",
        f"--uuid={machine_id}",
        "--register=no",
        "--keep-unit",
        "--notify-ready=yes",
        f"--network-namespace-path={network.namespace_path(plan.name, node.name)}",
        "--capability=all",
        f"--drop-capability={','.join(f'CAP_{name.upper()}' for name in DROPPED)}",
        "--console=pipe",
        "--settings=no",
        "--link-journal=no",
        "--resolv-conf=off",
        "--timezone=off",
        f"--bind={disk.boot_partition(plan.name, node.name)}:/boot/firmware",
        # What containers in a node need: no overlay upon overlay, a kernel log, keyrings.
        f"--bind={folder}/containerd:/var/lib/containerd",
        "--bind=/dev/kmsg",
        "--system-call-filter=@keyring",
        "--system-call-filter=~syslog",
        *([f"--bind-ro={modules}"] if modules else []),
    ]
    script = 'mount -t overlay overlay -o "$1" "$2" && shift 2 && exec "$@"'
    mount = ["sh", "-c", script, "sh", overlay, f"{folder}/merged"]
    return ["unshare", "--mount", "--propagation=slave", *mount, *nspawn]


def machine_environment() -> dict[str, str]:
    """Settings of nspawn that have no option."""
    settings = {"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
    if not cgroup.is_unified():
        # The hierarchy that has the controllers: without them no container has a limit.
        settings["SYSTEMD_NSPAWN_UNIFIED_HIERARCHY"] = "0"
    return settings


def start(plan: Plan, node: NodePlan, group: str) -> None:
    """
    Switch on: start the node's supervisor, which boots it; a node that is on is left alone.

    + group: the lab's control group
    """
    if cgroup.pids(f"{group}/{node.name}/supervisor"):
        return
    cgroup.end(f"{group}/{node.name}")
    report(plan, node, Status("booting"))
    command = [sys.executable, "-m", "lab.supervisor", plan.name, node.name, group]
    code = str(Path(__file__).parent.parent)
    with _supervisor_log(plan, node).open("ab") as log:
        supervisor = subprocess.Popen(
            cgroup.wrap(f"{group}/{node.name}/supervisor", command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=host.environment() | {"PYTHONPATH": code},
        )
    # A node is on once its supervisor is in its control group.
    reached = f"{group}/{node.name}/supervisor"
    waiting.until(lambda: bool(cgroup.pids(reached)) or supervisor.poll() is not None)


def wait_running(plan: Plan, node: NodePlan, group: str, after_boot: int = 0) -> None:
    """
    Wait until the node is running; a LabError if it ends or takes too long.

    + after_boot: the number of the last boot that does not count
    """
    console = disk.directory(plan.name, node.name) / "console.log"

    def came_up() -> bool:
        now = status(plan, node, group)
        if now.state == "off":
            said = _supervisor_log(plan, node).read_text(errors="replace").splitlines()
            reason = f" ({said[-1]})" if said else ""
            raise LabError(messages.BOOT(node=node.name, reason=reason, log=console))
        return now.state == "running" and now.boots > after_boot

    if not waiting.until(came_up):
        seconds = round(waiting.PATIENCE)
        raise LabError(messages.BOOT_SLOW(node=node.name, seconds=seconds, log=console))


def _supervisor_log(plan: Plan, node: NodePlan) -> Path:
    return disk.directory(plan.name, node.name) / "supervisor.log"


def cut_power(plan: Plan, node: NodePlan, group: str) -> None:
    """Cut the power: kill the node's PID 1, and everything in it with it."""
    leader = status(plan, node, group).leader
    if leader in cgroup.pids(f"{group}/{node.name}/machine"):
        os.kill(leader, signal.SIGKILL)
    waiting.until(lambda: not cgroup.pids(f"{group}/{node.name}/supervisor"), seconds=60)
    # What has not ended with it: a faulty supervisor, a node that never booted.
    cgroup.end(f"{group}/{node.name}")
    network.unplug(plan, node)


def request_reboot(plan: Plan, node: NodePlan, group: str) -> None:
    """Signal the node's systemd to reboot, as `reboot` does."""
    now = status(plan, node, group)
    if now.state != "running":
        raise LabError(messages.NOT_RUNNING(node=node.name, state=now.state))
    os.kill(now.leader, SIGNAL_REBOOT)


def clear_runtime(lab: str) -> None:
    """Remove the directories that a killed nspawn leaves, once all nodes are off."""
    for path in Path("/run/systemd/nspawn/propagate").glob(f"{lab}-*"):
        # Two labs may be called "x" and "x-y": what is in use can't be removed, and need not be.
        with contextlib.suppress(OSError):
            path.rmdir()


def console(
    plan: Plan, node: NodePlan, group: str, argv: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    """
    Run a command in the node without its network and sshd: for tests.

    It has no capability to change what the node shares with the host (`CONSOLE_DROPPED`).
    """
    leader = status(plan, node, group).leader
    if not leader or leader not in cgroup.pids(f"{group}/{node.name}/machine"):
        raise LabError(messages.NOT_RUNNING(node=node.name, state="off"))
    dropped = ",".join(f"-{name}" for name in CONSOLE_DROPPED)
    enter = ["nsenter", f"--target={leader}", "--all", "--", "setpriv", f"--bounding-set={dropped}"]
    paths = ["env", "-i", f"PATH={host.PATH}", "LANG=C.UTF-8", "HOME=/root"]
    return host.run([*enter, "--inh-caps=-all", *paths, *argv], check=False)
