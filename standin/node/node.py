"""The Node object that a kubelet registers and keeps up to date, from the node's true state."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field

from .common import VERSION, Obj, condition, new_condition, root, stamp, template, text
from .config import default_address
from .containerd import CriError, Runtime

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
ARCHITECTURE = MACHINES.get(platform.machine(), platform.machine())
PRESSURES = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
}
DOWN = "container runtime is down"


@dataclass
class State:
    """What the runtime says: why the node is not Ready, why pods of the pod network can't run."""

    problems: list[str] = field(default_factory=list)
    runs_pods: bool = True
    no_network: str = ""
    version: str = ""
    images: dict[str, int] = field(default_factory=dict)


def gather(runtime: Runtime, driver: str) -> State:
    """Ask the runtime; driver: the kubelet's cgroupDriver."""
    try:
        runtime.check()
        images = runtime.images()
    except CriError:
        return State([DOWN], False, DOWN)
    state = State(version=f"containerd://{runtime.version}", images=images)
    if driver == "systemd" and not runtime.uses_systemd_cgroups():
        state.problems.append(text("other-cgroups"))
        state.runs_pods = False
    folders = runtime.plugin_directories()
    names = ("flannel", "bridge")
    if not runtime.has_network():
        state.problems.append(text("no-network"))
        state.no_network = "cni plugin not initialized"
    elif not any(all(root(f"{folder}/{name}").exists() for name in names) for folder in folders):
        shown = " ".join(folders)
        state.no_network = f'plugin type="flannel" failed: failed to find plugin in path [{shown}]'
    return state


def _read(path: str) -> str:
    try:
        return root(path).read_text().strip()
    except OSError:
        return ""


def internal_address(node_ip: str) -> str:
    """Return --node-ip, or the default route's address."""
    return node_ip.split(",")[0] or default_address()


def new_node(name: str) -> Obj:
    """Return what a kubelet registers."""
    return template("node", name=name, architecture=ARCHITECTURE)[0]


def _conditions(old: Obj, state: State, is_flannel_up: bool) -> list[Obj]:
    node, beat = {"status": old}, stamp()
    network = condition(node, "NetworkUnavailable")
    if is_flannel_up:
        about = {"reason": "FlannelIsUp", "message": "Flannel is running on this node"}
        network = new_condition(node, "NetworkUnavailable", False, lastHeartbeatTime=beat, **about)
    words = dict(PRESSURES)
    problem = ", ".join(state.problems)
    words["Ready"] = ("KubeletReady", "kubelet is posting ready status")
    if problem:
        words["Ready"] = "KubeletNotReady", f"[{problem}]" if state.problems[1:] else problem
    found = [network] if network else []
    for kind, (reason, message) in words.items():
        about = {"reason": reason, "message": message, "lastHeartbeatTime": beat}
        found.append(new_condition(node, kind, kind == "Ready" and not problem, **about))
    return found


def status(old: Obj, name: str, node_ip: str, state: State, is_flannel_up: bool) -> Obj:
    """Return the node's status."""
    disk = os.statvfs(root("/"))
    (made,) = template(
        "node-status",
        name=name,
        address=internal_address(node_ip),
        architecture=ARCHITECTURE,
        boot=_read("/proc/sys/kernel/random/boot_id"),
        kernel=platform.release(),
        machine=_read("/etc/machine-id"),
        memory=str(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024),
        processors=str(len(os.sched_getaffinity(0))),
        runtime=state.version or old.get("nodeInfo", {}).get("containerRuntimeVersion", ""),
        storage=str(disk.f_blocks * disk.f_frsize // 1024),
        system=platform.freedesktop_os_release().get("PRETTY_NAME", "Linux"),
        version=VERSION,
    )
    made["conditions"] = _conditions(old, state, is_flannel_up)
    made["images"] = [{"names": [name], "sizeBytes": size} for name, size in state.images.items()]
    return made | {"capacity": made["allocatable"]}


def still(status: Obj) -> Obj:
    """Return a status without its heartbeats."""
    conditions = [one | {"lastHeartbeatTime": ""} for one in status.get("conditions", [])]
    return status | {"conditions": conditions}
