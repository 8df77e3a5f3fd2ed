"""
What containers and the kubelet need in a node, which shares this machine's kernel.

Nodes run containerd, whichever Kubernetes the lab uses.

+ cgroup v1: systemd-nspawn mounts the controllers read-only; here they become the node's to write,
  below its own group, once it is up: its PID 1 would take over those that it finds writable while
  it starts, another set at each boot, and remove the kubelet's groups in them. On cgroup v2 the
  node's subtree is writable as it is.
+ The kubelet refuses to start where kernel settings of the whole machine are not its own, and sets
  them elsewhere. In a node files with the wanted values lie over them, which nobody can write to.
+ Without CAP_SYS_RESOURCE nobody may make a process safer from the OOM killer than he is himself,
  as the sandboxes of pods are made: containerd has a setting for that.
"""

from __future__ import annotations

from pathlib import Path

from lab import host
from lab.errors import LabError
from messages import lab as messages

# Below /proc/sys, as the kubelet wants them (kubernetes, pkg/kubelet/cm, setupKernelTunables).
KUBELET_WANTS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}

_CGROUPS = """set -e
while read -r _ where kind _; do
  [ "$kind" != cgroup ] || mount -o remount,bind,rw,nosuid,nodev,noexec "$where"
done < /proc/self/mounts"""

# $1: where the files go; the rest: a setting and its value, in pairs.
_SETTINGS = """set -e
top=$1; shift
while [ $# -gt 1 ]; do
  mkdir -p "$top/${1%/*}"; echo "$2" > "$top/$1"
  [ ! -e "/proc/sys/$1" ] || mount -o bind,ro "$top/$1" "/proc/sys/$1"
  shift 2
done"""

CONTAINERD_CONFIG = "etc/containerd/config.toml"
# All containerds read version 2, and what else is in the file is left alone by who adds to it.
_RESTRICTED = """version = 2

# The lab's: this machine's root has no CAP_SYS_RESOURCE.
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
"""

_CAP_SYS_RESOURCE = 24  # linux/capability.h


def cover_settings(leader: int) -> None:
    """
    Cover the machine's kernel settings with the kubelet's values, once the node's PID 1 runs.

    + leader: the host's process id of that PID 1

    A LabError unless the node has ended.
    """
    _run_in(
        leader, _SETTINGS, "/run/lab/sysctl", *(str(w) for p in KUBELET_WANTS.items() for w in p)
    )


def open_cgroups(leader: int) -> None:
    """
    Make the cgroup v1 hierarchies writable, once the node's PID 1 has reported READY=1.

    Arguments and errors as in `cover_settings`.
    """
    _run_in(leader, _CGROUPS)


def _run_in(leader: int, script: str, *arguments: str) -> None:
    enter = ["nsenter", f"--target={leader}", "--mount", "--pid", "--", "sh", "-c", script, "sh"]
    done = host.run([*enter, *arguments], check=False)
    if done.returncode and Path("/proc", str(leader)).exists():
        raise LabError(messages.CONTAINERS(reason=done.stderr.strip()))


def files_of_card() -> dict[str, str]:
    """The files that a card needs for pods, by path: none if root has all capabilities here."""
    status = Path("/proc/self/status").read_text().splitlines()
    effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff:"))
    return {} if effective >> _CAP_SYS_RESOURCE & 1 else {CONTAINERD_CONFIG: _RESTRICTED}
