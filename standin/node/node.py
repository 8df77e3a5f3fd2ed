"""The Node object that a kubelet registers and keeps up to date, from the node's true state."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field

from .common import VERSION, Obj, condition, new_condition, root, stamp, template, text
from .containerd import CriError, Runtime

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
ARCHITECTURE = MACHINES.get(platform.machine(), platform.machine())
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


def new_node(name: str) -> Obj:
    """Return what a kubelet registers."""
    return template("node", name=name, architecture=ARCHITECTURE)[0]


def _conditions(old: Obj, listed: list[Obj], state: State, is_flannel_up: bool) -> list[Obj]:
    """Return what is listed for a node that is well, as it is true of this one."""
    network, *others, ready = listed
    if state.problems:
        problem = ", ".join(state.problems)
        ready["message"] = f"[{problem}]" if state.problems[1:] else problem
        ready["reason"] = "KubeletNotReady"
    node, beat = {"status": old}, stamp()
    known = [] if is_flannel_up else [condition(node, "NetworkUnavailable")]
    for one in [network] * is_flannel_up + [*others, ready]:
        is_true = one is ready and not state.problems
        known.append(new_condition(node, is_true=is_true, lastHeartbeatTime=beat, **one))
    return [one for one in known if one]


def status(old: Obj, name: str, node_ip: str, state: State, is_flannel_up: bool) -> Obj:
    """Return the node's status."""
    disk = os.statvfs(root("/"))
    (made,) = template(
        "node-status",
        name=name,
        address=node_ip,
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
    made["conditions"] = _conditions(old, made["conditions"], state, is_flannel_up)
    made["images"] = [{"names": [name], "sizeBytes": size} for name, size in state.images.items()]
    return made | {"capacity": made["allocatable"]}


def still(status: Obj) -> Obj:
    """Return a status without its heartbeats."""
    conditions = [one | {"lastHeartbeatTime": ""} for one in status.get("conditions", [])]
    return status | {"conditions": conditions}
