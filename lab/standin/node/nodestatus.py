"""The Node object that a kubelet registers and keeps up to date, from the node's true state."""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import contextlib
import os
import platform
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import cri
from .common import VERSION, Obj, root, stamp

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CALM = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)
DOWN = "container runtime is down"


@dataclass
class State:
    """
    What a look at the container runtime said.

    + problems: why the node is not Ready, empty when it is
    + runs_pods: pods with the host's network can run
    + no_network: why pods with an address of their own can't run, empty when they can
    + version: `containerd://1.7.24`
    + images: the runtime's images
    """

    problems: list[str]
    runs_pods: bool
    no_network: str
    version: str
    images: list[Obj]


def look(runtime: cri.Runtime, driver: str) -> State:
    """Ask the runtime; driver: the kubelet's cgroupDriver."""
    try:
        name, version = runtime.version()
        conditions, info = runtime.status()
        images = runtime.images()
    except cri.CriError:
        return State([DOWN], False, DOWN, "", [])
    problems = []
    for kind, (good, reason, message) in conditions.items():
        if kind == "RuntimeReady" and not good:
            problems.append(
                f"container runtime not ready: RuntimeReady=false reason:{reason} message:{message}"
            )
        if kind == "NetworkReady" and not good:
            problems.append(
                f"container runtime network not ready: NetworkReady=false reason:{reason} message:{message}"
            )
    runs = conditions.get("RuntimeReady", (True, "", ""))[0]
    if driver == "systemd" and not cri.systemd_cgroup(info):
        # The real kubelet's pods would start and be killed over and over; here they don't start.
        problems.append(
            "stand-in: the kubelet's cgroup driver is systemd and the runtime's is cgroupfs: set SystemdCgroup = true in containerd's configuration and restart it"
        )
        runs = False
    folders = cri.plugin_directories(info)
    plugins = any(
        root(f"{folder}/flannel").exists() and root(f"{folder}/bridge").exists()
        for folder in folders
    )
    missing = ""
    if not conditions.get("NetworkReady", (False, "", ""))[0]:
        missing = "cni plugin not initialized"
    elif not plugins:
        missing = (
            f'plugin type="flannel" failed: failed to find plugin in path [{" ".join(folders)}]'
        )
    return State(problems, runs, missing, f"{name}://{cri.normal(version)}", images)


def _read(path: str) -> str:
    try:
        return root(path).read_text().strip()
    except OSError:
        return ""


def os_name() -> str:
    """PRETTY_NAME of os-release."""
    for line in _read("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Linux"


def capacity() -> Obj:
    """CPUs, memory, disk, pods."""
    disk = os.statvfs(root("/"))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024
    return {
        "cpu": str(len(os.sched_getaffinity(0))),
        "ephemeral-storage": f"{disk.f_blocks * disk.f_frsize // 1024}Ki",
        "memory": f"{memory}Ki",
        "pods": "110",
    }


def internal_address(node_ip: str) -> str:
    """--node-ip, or the default route's address."""
    if node_ip:
        return node_ip.split(",")[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return ""


def taints(text: str) -> list[Obj]:
    """--register-with-taints: `key=value:Effect,…`"""
    found = []
    for one in text.split(",") if text else []:
        pair, _, effect = one.rpartition(":")
        key, equals, value = pair.partition("=")
        found.append(
            {"key": key, "effect": effect} | ({"value": value} if equals and value else {})
        )
    return found


def new_node(name: str, labels: dict[str, str], with_taints: list[Obj]) -> Obj:
    """What a kubelet registers."""
    architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
    own = {
        "beta.kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
    }
    annotations = {
        "node.alpha.kubernetes.io/ttl": "0",
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
    }
    spec: Obj = {"taints": with_taints} if with_taints else {}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": own | labels, "annotations": annotations},
        "spec": spec,
    }


def _condition(old: Obj, kind: str, true: bool, reason: str, message: str) -> Obj:
    wanted = {
        "type": kind,
        "status": "True" if true else "False",
        "reason": reason,
        "message": message,
    }
    changed = old.get("status") != wanted["status"]
    since = stamp() if changed else old.get("lastTransitionTime", stamp())
    return wanted | {"lastHeartbeatTime": stamp(), "lastTransitionTime": since}


def status(old: Obj, name: str, node_ip: str, state: State, flannel_up: bool) -> Obj:
    """The node's status; conditions keep the time of their last change."""
    before = {one["type"]: one for one in old.get("conditions", [])}
    conditions = []
    if flannel_up:
        conditions.append(
            _condition(
                before.get("NetworkUnavailable", {}),
                "NetworkUnavailable",
                False,
                "FlannelIsUp",
                "Flannel is running on this node",
            )
        )
    elif "NetworkUnavailable" in before:
        conditions.append(before["NetworkUnavailable"])
    conditions += [
        _condition(before.get(kind, {}), kind, False, reason, message)
        for kind, reason, message in CALM
    ]
    problem = ", ".join(state.problems)
    problem = f"[{problem}]" if len(state.problems) > 1 else problem
    ready = not state.problems
    conditions.append(
        _condition(
            before.get("Ready", {}),
            "Ready",
            ready,
            "KubeletReady" if ready else "KubeletNotReady",
            problem or "kubelet is posting ready status",
        )
    )
    total = capacity()
    machine = _read("/etc/machine-id")
    return {
        "addresses": [
            {"type": "InternalIP", "address": internal_address(node_ip)},
            {"type": "Hostname", "address": name},
        ],
        "allocatable": total,
        "capacity": total,
        "conditions": conditions,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "images": [
            {"names": [*one["repoTags"], *one["repoDigests"]], "sizeBytes": one["size"]}
            for one in state.images
        ],
        "nodeInfo": {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "bootID": _boot_id(),
            "containerRuntimeVersion": state.version
            or old.get("nodeInfo", {}).get("containerRuntimeVersion", ""),
            "kernelVersion": platform.release(),
            "kubeProxyVersion": "",
            "kubeletVersion": VERSION,
            "machineID": machine,
            "operatingSystem": "linux",
            "osImage": os_name(),
            "systemUUID": machine,
        },
    }


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def unchanged(old: Obj, new: Obj) -> bool:
    """Whether nothing but heartbeats differs."""

    def bare(one: Obj) -> Any:
        return one | {
            "conditions": [
                {k: v for k, v in entry.items() if k != "lastHeartbeatTime"}
                for entry in one.get("conditions", [])
            ]
        }

    return bool(bare(old) == bare(new))
