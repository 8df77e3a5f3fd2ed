"""The board, its SD card, and the system that runs on it."""

from __future__ import annotations

import json

from facts.architecture import Architecture
from facts.cgroup import MemoryCgroup
from facts.clock import Clock
from facts.machine import Machine
from facts.run_lock import RunLock
from facts.swap import Swap
from messages import preflight as messages
from operations import architecture as architectures
from operations import cgroup, packages
from operations import clock as clocks
from operations import swap as swaps
from operations.preflight.node import Node, Nodes
from operations.preflight.results import Result, before_cluster, failure, ok, warning
from runs import lock

# kubeadm's own thresholds for a control plane.
CONTROL_PLANE_MB, CONTROL_PLANE_PROCESSORS = 1700, 2
WORKER_MB = 700  # below it a kubelet and containerd leave little to pods
# The packages, and the images that every node has.
ROOMY_MB = {"control_plane": 3000, "worker": 2000}
GARBAGE_COLLECTION_PERCENT = 15  # the kubelet's default imageGCHighThresholdPercent is 85
# etcd sends a heartbeat each 100 ms, and can't while it waits for its disk.
SLOW_MS = 100

# The oldest release of each that has a containerd which today's Kubernetes works with.
OLDEST = {"debian": 12, "raspbian": 12, "ubuntu": 22}
IMAGE = "Raspberry Pi OS Lite (64-bit) or Debian 13"


def architecture(node: Node, nodes: Nodes) -> Result:
    """Kernel and programs are 64-bit."""
    state = node.known(Architecture)
    architectures.check(state)
    return ok(f"{state.userland}, 64 bits")


def system(node: Node, nodes: Nodes) -> Result:
    """The system is a release of Debian or of a derivative that is not too old."""
    machine = node.known(Machine)
    name = machine.system_name or "a system without /etc/os-release"
    oldest = OLDEST.get(machine.system)
    if oldest is None:
        return warning(messages.UNTESTED_SYSTEM(system=name, image=IMAGE))
    number = machine.version.partition(".")[0]
    if number.isdigit() and int(number) < oldest:
        return before_cluster(node, messages.OLD_SYSTEM(system=name, image=IMAGE))
    return ok(name)


def memory(node: Node, nodes: Nodes) -> Result:
    """There is the memory that kubeadm requires, or a worker's kubelet needs."""
    size = node.known(Machine).memory_mb
    if node.desired.role == "worker":
        enough = size >= WORKER_MB
        return ok(f"{size} MB") if enough else warning(messages.WORKER_MEMORY(size=size))
    if size >= CONTROL_PLANE_MB:
        return ok(f"{size} MB")
    if node.desired.ignores("Mem"):
        return warning(messages.CONTROL_PLANE_MEMORY_IGNORED(size=size, required=CONTROL_PLANE_MB))
    setting = _ignoring(node, "Mem")
    message = messages.CONTROL_PLANE_MEMORY(size=size, required=CONTROL_PLANE_MB, setting=setting)
    return before_cluster(node, message)


def processors(node: Node, nodes: Nodes) -> Result:
    """There are as many processors as kubeadm requires."""
    count = node.known(Machine).processors
    if node.desired.role == "worker" or count >= CONTROL_PLANE_PROCESSORS:
        return ok(str(count))
    numbers = {"count": count, "required": CONTROL_PLANE_PROCESSORS}
    if node.desired.ignores("NumCPU"):
        return warning(messages.CONTROL_PLANE_PROCESSORS_IGNORED(**numbers))
    setting = _ignoring(node, "NumCPU")
    return before_cluster(node, messages.CONTROL_PLANE_PROCESSORS(setting=setting, **numbers))


def _ignoring(node: Node, name: str) -> str:
    names = json.dumps([*node.desired.ignored, name])
    return f"ignore_preflight_errors = {names} in group_data/all.py"


def disk(node: Node, nodes: Nodes) -> Result:
    """The disk can be written, and packages and images fit."""
    machine = node.known(Machine)
    if machine.read_only:
        return failure(messages.READ_ONLY(paths=" and ".join(machine.read_only)))
    if not node.has_packages:
        packages.check_room(machine.free_mb)
    free, total, percent = machine.free_mb, machine.disk_mb, GARBAGE_COLLECTION_PERCENT
    if free < ROOMY_MB[node.desired.role]:
        return warning(messages.LITTLE_SPACE(free=free))
    if free * 100 < total * percent:
        message = messages.IMAGE_GARBAGE_COLLECTION(free=free, total=total, percent=percent)
        return warning(message)
    return ok(f"{free} MB are free for /var")


def write_latency(node: Node, nodes: Nodes) -> Result:
    """A small write, which etcd waits for, is quick."""
    milliseconds = node.known(Machine).sync_ms
    if milliseconds is None:
        return warning(messages.DISK_NOT_MEASURED())
    if milliseconds < SLOW_MS:
        return ok(f"a small write takes {milliseconds:g} ms")
    is_worker = node.desired.role == "worker"
    effect = "pods start slowly" if is_worker else "etcd may lose its leader"
    return warning(messages.SLOW_DISK(milliseconds=f"{milliseconds:g}", effect=effect))


def memory_cgroup(node: Node, nodes: Nodes) -> Result:
    """The memory cgroup is on, or the run can turn it on."""
    state = node.known(MemoryCgroup)
    if state.memory != "off":
        return ok(f"on ({state.memory})")
    if not node.desired.memory_cgroup:
        return ok("off, and not required (memory_cgroup = False)")
    path, text = cgroup.command_line(state)
    if text == state.files[path].text:
        return warning(messages.MEMORY_CGROUP_PENDING(path=path))
    return warning(messages.MEMORY_CGROUP_OFF(argument=cgroup.ARGUMENT, path=path))


def other_runs(node: Node, nodes: Nodes) -> Result:
    """No other run is changing the node."""
    holder = node.known(RunLock)
    if lock.current().is_another(holder):
        return warning(messages.OTHER_RUN(run=holder))
    return ok("none")


def swap(node: Node, nodes: Nodes) -> Result:
    """Swap is off, or the run can turn it off permanently."""
    state = node.known(Swap)
    sources = ", ".join(swaps.sources(state))
    if state.in_use:
        swaps.check_room(state)
    used = ", ".join(state.in_use)
    if found := swaps.warnings(state):
        turned_off = [f"on ({used}): the run turns it off"] if used else []
        return Result("warning", "; ".join([*turned_off, *found]))
    if used:
        by = f", turned on by {sources}" if sources else ""
        return ok(f"on ({used}{by}): the run turns it off permanently")
    if sources:
        return ok(f"off until the next boot ({sources}): the run turns it off permanently")
    return ok("off")


def clock(node: Node, nodes: Nodes) -> Result:
    """The clock is close to this computer's, or its service can correct it."""
    state = node.known(Clock)
    if clocks.is_far(state):
        return warning(messages.CLOCK_OFF(distance=clocks.distance(state)))
    service = state.services[0] if state.services else "systemd-timesyncd, which the run turns on"
    return ok(f"correct, synchronized by {service}")
