"""
The board, and the system that was written to its card.
"""

from __future__ import annotations

import json

from operations import architecture as architectures
from operations import packages
from operations.preflight.rows import (
    Desk,
    Node,
    Verdict,
    failure,
    known,
    ok,
    unless_in_cluster,
    warning,
)

# kubeadm's own thresholds for a control plane.
CONTROL_PLANE_MB, CONTROL_PLANE_PROCESSORS = 1700, 2
WORKER_MB = 700  # below it a kubelet and containerd leave little to pods
# The packages, and the images that every node has.
ROOMY_MB = {"control_plane": 3000, "worker": 2000}
KUBELET_WANTS_PERCENT = 15  # below it the kubelet removes images, then pods
# etcd sends a heartbeat each 100 ms, and can't while it waits for its disk.
SLOW_MS = 100

# The oldest release of each that has a containerd which today's Kubernetes works with.
OLDEST = {"debian": 12, "raspbian": 12, "ubuntu": 22}
IMAGE = "Raspberry Pi OS Lite (64-bit) or Debian 13"


def architecture(node: Node, desk: Desk) -> Verdict:
    """A kernel and programs of 64 bits."""
    state = known(node.found.architecture)
    architectures.check(state)
    return ok(f"{state.userland}, 64 bits")


def system(node: Node, desk: Desk) -> Verdict:
    """A release of Debian, or of its kin, that is not too old."""
    machine = known(node.found.machine)
    name = machine.system_name or "a system without /etc/os-release"
    oldest = OLDEST.get(machine.system)
    if oldest is None:
        return warning(f"{name}: nobody has tried that here; {IMAGE} is what was tried")
    number = machine.version.partition(".")[0]
    if number.isdigit() and int(number) < oldest:
        return unless_in_cluster(
            node, f"{name} is too old for today's Kubernetes: write {IMAGE} to its card"
        )
    return ok(name)


def memory(node: Node, desk: Desk) -> Verdict:
    """What kubeadm wants of a control plane, and enough for a worker's kubelet."""
    size = known(node.found.machine).memory_mb
    if node.wanted.role == "worker":
        if size < WORKER_MB:
            return warning(f"{size} MB: the kubelet and containerd leave little of it to pods")
        return ok(f"{size} MB")
    if size >= CONTROL_PLANE_MB:
        return ok(f"{size} MB")
    if node.wanted.ignores("Mem"):
        return warning(
            f"{size} MB, and kubeadm wants {CONTROL_PLANE_MB} MB of a control plane: "
            "ignore_preflight_errors lets it go on; it may be slow, or run out of memory"
        )
    return unless_in_cluster(
        node,
        f"{size} MB, and kubeadm wants {CONTROL_PLANE_MB} MB of a control plane, "
        "and will refuse: make a board with 2 GB or more the control plane; or go on all the same, "
        f"with {_ignoring(node, 'Mem')}: it may be slow, or run out of memory",
    )


def processors(node: Node, desk: Desk) -> Verdict:
    """What kubeadm wants of a control plane."""
    count = known(node.found.machine).processors
    enough = node.wanted.role == "worker" or count >= CONTROL_PLANE_PROCESSORS
    if enough:
        return ok(str(count))
    if node.wanted.ignores("NumCPU"):
        return warning(
            f"{count}, and kubeadm wants {CONTROL_PLANE_PROCESSORS} of a control plane: it will be "
            "slow"
        )
    return unless_in_cluster(
        node,
        f"{count}, and kubeadm wants {CONTROL_PLANE_PROCESSORS} of a control plane, "
        "and will refuse: make a board with more the control plane; or go on all the same, "
        f"with {_ignoring(node, 'NumCPU')}",
    )


def _ignoring(node: Node, name: str) -> str:
    names = json.dumps([*node.wanted.ignored, name])
    return f"ignore_preflight_errors = {names} in group_data/all.py"


def disk(node: Node, desk: Desk) -> Verdict:
    """Room for packages and images, on a disk that can be written."""
    machine = known(node.found.machine)
    if machine.read_only:
        return failure(
            f"{' and '.join(machine.read_only)} can't be written: a card at its end makes itself "
            "read-only (`sudo dmesg | grep -i mmc`): reboot it; if that does not last, take a new "
            "card"
        )
    if not node.has_packages:
        packages.check_room(machine.free_mb)
    if machine.free_mb < ROOMY_MB[node.wanted.role]:
        return warning(
            f"{machine.free_mb} MB are free for /var, little for images: make room (`df -h`, "
            "`sudo apt-get clean`), or take a larger card"
        )
    if machine.free_mb * 100 < machine.disk_mb * KUBELET_WANTS_PERCENT:
        return warning(
            f"{machine.free_mb} of {machine.disk_mb} MB are free for /var: below "
            f"{KUBELET_WANTS_PERCENT} % the kubelet removes images, then pods: make room (`df -h`)"
        )
    return ok(f"{machine.free_mb} MB are free for /var")


def card(node: Node, desk: Desk) -> Verdict:
    """How fast a write is on the disk, which etcd waits for."""
    milliseconds = known(node.found.machine).sync_ms
    if milliseconds is None:
        return warning("a small file could not be written to /var/tmp: see `df -h /var/tmp`")
    words = f"a small write is on the disk after {milliseconds:g} ms"
    if milliseconds < SLOW_MS:
        return ok(words)
    is_worker = node.wanted.role == "worker"
    hurt = "pods start late" if is_worker else "etcd loses its leader now and then"
    return warning(
        f"{words}: that is slow, and {hurt}: take a card of class A1 or A2, or an SSD, or see what "
        "else writes (`sudo iotop`)"
    )
