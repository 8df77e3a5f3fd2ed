"""
Control groups: the way to know each process of a lab by its id, and to end all of them.

Each node's supervisor, its machine, and the lan's services have a group of their own, in every
hierarchy of the host: cgroup v2, v1, or both ("hybrid"). Where systemd is PID 1 the whole tree is
below a unit that systemd has delegated to us (systemd's CGROUP_DELEGATION.md).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from lab import host, waiting
from lab.errors import LabError
from messages import lab as messages

SYSTEMD_IS_INIT = Path("/run/systemd/system").is_dir()


def hierarchies() -> list[Path]:
    """The mount point of each hierarchy, in the host's own mount table."""
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount_point, kind, *_ = line.split()
        if kind in ("cgroup", "cgroup2") and mount_point.startswith("/sys/fs/cgroup"):
            found.append(Path(mount_point))
    if not found:
        raise LabError(messages.NO_CGROUPS())
    return found


def is_unified() -> bool:
    """True on a host with cgroup v2 only."""
    return hierarchies() == [Path("/sys/fs/cgroup")]


def counts_memory() -> bool:
    """Whether the kernel has the memory controller, which a kernel may be started without."""
    if is_unified():
        return "memory" in Path("/sys/fs/cgroup/cgroup.controllers").read_text().split()
    return Path("/sys/fs/cgroup/memory").is_dir()


def _unit(lab: str) -> str:
    return f"bramble-lab-{lab}.service"


def _delegated(lab: str) -> str:
    """The path of the lab's unit below each hierarchy; empty while it is not running."""
    shown = host.run(["systemctl", "show", "-P", "ControlGroup", _unit(lab)]).stdout
    return shown.strip().lstrip("/")


def root(lab: str) -> str:
    """The lab's own path below each hierarchy, whether it is there or not."""
    return (SYSTEMD_IS_INIT and _delegated(lab)) or f"bramble-lab/{lab}"


def create(lab: str) -> str:
    """
    Make the lab's tree where it is missing, on systemd as a delegated unit, and give its path.

    + lab: the lab's name
    """
    if not SYSTEMD_IS_INIT:
        return root(lab)
    if not _delegated(lab):
        properties = ["--property=Delegate=yes", "--property=TasksMax=infinity"]
        unit = ["systemd-run", "--quiet", "--collect", f"--unit={_unit(lab)}", *properties]
        host.run([*unit, "sleep", "infinity"])
    # A v2 group whose children have controllers may hold no process itself.
    pids = [pid for top in hierarchies() for pid in _read_pids(top / root(lab))]
    for path in _make(f"{root(lab)}/keeper"):
        for pid in pids:
            with contextlib.suppress(OSError):
                (path / "cgroup.procs").write_text(str(pid))
    return root(lab)


def _make(group: str) -> list[Path]:
    """Make one group in each hierarchy, with all controllers that its parents can hand down."""
    made = []
    for top in hierarchies():
        path = top
        for part in Path(group).parts:
            parent, path = path, path / part
            path.mkdir(exist_ok=True)
            _hand_down(parent, path)
        made.append(path)
    return made


def _hand_down(parent: Path, child: Path) -> None:
    controllers = parent / "cgroup.controllers"
    if controllers.exists():
        for name in controllers.read_text().split():
            with contextlib.suppress(OSError):
                (parent / "cgroup.subtree_control").write_text(f"+{name}")
    if (child / "cpuset.cpus").exists() and (child / "cgroup.clone_children").exists():
        # v1: a cpuset starts empty, and takes no process before it has CPUs and memory.
        (child / "cgroup.clone_children").write_text("1")
        for name in ("cpuset.cpus", "cpuset.mems"):
            if not (child / name).read_text().strip():
                (child / name).write_text((parent / name).read_text())


def wrap(group: str, argv: Sequence[str]) -> list[str]:
    """
    The command that runs `argv` inside `group`, which is made where it is missing.

    + group: as `create` gives it, with the part's own name: `bramble-lab/demo/node1/machine`
    + argv: the command
    """
    enter = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 125; shift; done; shift; exec "$@"'
    files = [str(path / "cgroup.procs") for path in _make(group)]
    return ["sh", "-c", enter, "sh", *files, "--", *argv]


def _read_pids(path: Path) -> list[int]:
    try:
        return [int(pid) for pid in (path / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def pids(group: str) -> set[int]:
    """All processes in `group` and below, in any hierarchy."""
    found: set[int] = set()
    for top in hierarchies():
        for folder, _, _ in os.walk(top / group):
            found.update(_read_pids(Path(folder)))
    # 0 is a process of another pid namespace: not one that could be ended from here.
    return found - {0, os.getpid()}


def end(group: str) -> None:
    """End every process of `group`, by id, and remove the group with all that is below it."""
    if "bramble-lab" not in group:
        raise ValueError(f"{group!r} is not a group of the lab")  # never the host's own processes
    if not waiting.until(lambda: not _kill(group), pause=0.02):
        raise LabError(messages.NOT_REMOVED(what=f"the lab's processes {sorted(pids(group))}"))
    # The kernel may hold a group for a moment after the last process in it was seen.
    if not waiting.until(lambda: _remove(group), pause=0.02):
        raise LabError(messages.NOT_REMOVED(what=f"the control group {group}"))


def _kill(group: str) -> set[int]:
    """Kill what is in `group` now, and give it."""
    left = pids(group)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left


def _remove(group: str) -> bool:
    """Remove the empty directories of `group`; False where one is still in use."""
    for top in hierarchies():
        for folder, _, _ in os.walk(top / group, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
    return not any((top / group).exists() for top in hierarchies())


def destroy(lab: str) -> None:
    """End everything that the lab started, and leave no group behind."""
    end(root(lab))
    if SYSTEMD_IS_INIT:
        host.run(["systemctl", "stop", _unit(lab)], check=False)
        return
    for top in hierarchies():
        with contextlib.suppress(OSError):  # another lab is in it
            (top / "bramble-lab").rmdir()
