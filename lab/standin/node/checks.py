"""
kubeadm's single checks, each a name and a function that gives (warnings, errors).

Source: kubernetes.io, "kubeadm implementation details" (preflight checks), and recorded runs of
1.36.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from . import cri
from .common import MINOR, Fatal, klog, quote, root, say

# A check gives (warnings, errors).
Result = tuple[list[str], list[str]]


Check = tuple[str, Callable[[], Result]]


NO_CONFIG = "You must update your container runtime to a version that supports the CRI method RuntimeConfig."


KEP = "For more information, see https://git.k8s.io/enhancements/keps/sig-node/4033-group-driver-detection-over-cri"


# The minor from which the kubelet no longer does without RuntimeConfig.
LAST_WITHOUT = 38


CGROUP_V1 = (
    "cgroups v1 support is deprecated and will be removed in a future release. Please migrate to cgroups "
    "v2. To explicitly enable cgroups v1 support for kubelet v1.35 or newer, you must set the kubelet "
    "configuration option 'FailCgroupV1' to 'false'. You must also explicitly skip this validation. For "
    "more information, see https://git.k8s.io/enhancements/keps/sig-node/5573-remove-cgroup-v1"
)


SWAP = (
    "swap is supported for cgroup v2 only. The kubelet must be properly configured to use swap. Please "
    "refer to https://kubernetes.io/docs/concepts/architecture/nodes/#swap-memory, or disable swap on the node"
)


FINE: Result = ([], [])


def _path_name(path: str) -> str:
    return path.replace("/", "-")


def file_available(path: str) -> Check:
    """Nothing may be there yet."""
    return (
        f"FileAvailable-{_path_name(path)}",
        lambda: ([], [f"{path} already exists"]) if root(path).exists() else FINE,
    )


def directory_available(path: str) -> Check:
    """Missing or empty."""

    def check() -> Result:
        full = root(path).is_dir() and any(root(path).iterdir())
        return ([], [f"{path} is not empty"]) if full else FINE

    return f"DirAvailable-{_path_name(path)}", check


def file_content(path: str, wanted: str) -> Check:
    """A file begins with `wanted`."""

    def check() -> Result:
        if not root(path).exists():
            return [], [f"{path} does not exist"]
        right = root(path).read_text().startswith(wanted)
        return FINE if right else ([], [f"{path} contents are not set to {wanted}"])

    return f"FileContent-{_path_name(path)}", check


def port_open(port: int) -> Check:
    """Nobody listens on any address."""

    def check() -> Result:
        try:
            socket.create_server(("", port), reuse_port=False).close()
        except OSError:
            return [], [f"Port {port} is in use"]
        return FINE

    return f"Port-{port}", check


def in_path(program: str) -> Check:
    """A program that the kubelet or kubeadm calls."""
    return (
        f"FileExisting-{program}",
        lambda: FINE if shutil.which(program) else ([], [f"{program} not found in system path"]),
    )


def privileged() -> Check:
    """Root."""
    return (
        "IsPrivilegedUser",
        lambda: FINE if os.geteuid() == 0 else ([], ["user is not running as root"]),
    )


def cpus_check() -> Result:
    count = len(os.sched_getaffinity(0))
    return (
        FINE
        if count >= 2
        else ([], [f"the number of available CPUs {count} is less than the required 2"])
    )


def memory_check() -> Result:
    megabytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024 // 1024
    return (
        FINE
        if megabytes >= 1700
        else ([], [f"the system RAM ({megabytes} MB) is less than the minimum 1700 MB"])
    )


def version_check(wanted: str) -> Check:
    def check() -> Result:
        minor = int(wanted.split(".")[1])
        if minor <= MINOR:
            return FINE
        return [
            f"Kubernetes version is greater than kubeadm version. Please consider to upgrade kubeadm. Kubernetes version: {wanted.lstrip('v')}. Kubeadm version: 1.{MINOR}.x"
        ], []

    return "KubernetesVersion", check


def runtime(endpoint: str) -> list[Check]:
    """The container runtime answers, and is new enough."""

    def connect() -> str:
        try:
            cri.Runtime(endpoint).version()
        except cri.CriError as error:
            return f'could not connect to the container runtime: failed to create new CRI runtime service: validate service connection: validate CRI v1 runtime API for endpoint "{endpoint}": {error}'
        return ""

    def answers() -> Result:
        problem = connect()
        return ([], [problem]) if problem else FINE

    def version() -> Result:
        if problem := connect():
            return [], [problem]
        if cri.Runtime(endpoint).has_runtime_config():
            return FINE
        klog(
            "E",
            "remote_runtime.go:1177",
            '"RuntimeConfig from runtime service failed" err="rpc error: code = Unimplemented desc = method RuntimeConfig not implemented"',
        )
        if MINOR >= LAST_WITHOUT:
            return [], [f"{NO_CONFIG} {KEP}"]
        named = 37 if MINOR < 37 else LAST_WITHOUT
        return [
            f"{NO_CONFIG} Falling back to using cgroupDriver from kubelet config will be removed in 1.{named}. {KEP}"
        ], []

    return [("CRI", answers), ("ContainerRuntimeVersion", version)]


def swap_check() -> Result:
    try:
        lines = root("/proc/swaps").read_text().splitlines()
    except OSError:
        return FINE
    return ([SWAP], []) if len(lines) > 1 else FINE


def kubelet_version() -> str:
    """`1.36.4+stand-in`, from `kubelet --version`; Fatal when it can't be run."""
    program = shutil.which("kubelet")
    if program is None:
        raise Fatal("cannot execute 'kubelet --version': executable file not found in $PATH")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"v(\d+\.\d+\.\d+\S*)", done.stdout)
    if done.returncode or match is None:
        raise Fatal("cannot execute 'kubelet --version': exit status 1")
    return match[1]


def system_check() -> Result:
    """
    Control groups. A lab node may have no controllers at all (an empty list): that says nothing of
    a Raspberry Pi, and is let pass; a list without memory is what a Pi has until its kernel is
    told.
    """
    try:
        kubelet_version()
    except Fatal as error:
        return [f"couldn't get kubelet version: {error}"], []
    listed = root("/sys/fs/cgroup/cgroup.controllers")
    problems = []
    if not listed.exists():
        problems = [CGROUP_V1]
    elif listed.read_text().strip():
        have = listed.read_text().split()
        missing = [one for one in ("cpu", "cpuset", "memory", "pids") if one not in have]
        problems = [f"missing required cgroups: {' '.join(missing)}"] if missing else []
    if problems:
        say(
            "[preflight] The system verification failed. Printing the output from the verification:"
        )
        say(f"KERNEL_VERSION: {os.uname().release}")
        say("OS: Linux")
        if listed.exists():
            for one in ("cpu", "cpuset", "memory", "pids"):
                say(
                    f"CGROUPS_{one.upper()}: {'enabled' if one in listed.read_text().split() else 'missing'}"
                )
    return [], problems


def hostname_check(name: str) -> Check:
    def check() -> Result:
        try:
            socket.getaddrinfo(name, None)
        except OSError:
            return [
                f'hostname "{name}" could not be reached',
                f'hostname "{name}": lookup {name}: no such host',
            ], []
        return FINE

    return "Hostname", check


def kubelet_check(wanted: str) -> Check:
    def check() -> Result:
        try:
            found = kubelet_version()
        except Fatal as error:
            return [], [f"couldn't get kubelet version: {error}"]
        minor = int(found.split(".")[1])
        if minor < MINOR - 3:
            return [], [
                f"Kubelet version {quote(found)} is lower than kubeadm can support. Please upgrade kubelet"
            ]
        if wanted and minor > int(wanted.split(".")[1]):
            return [], [
                f"the kubelet version is higher than the control plane version. This is not a supported version skew and may lead to a malfunctional cluster. Kubelet version: {quote(found)} Control plane version: {quote(wanted.lstrip('v'))}"
            ]
        return FINE

    return "KubeletVersion", check


def service_check() -> Result:
    if shutil.which("systemctl") is None or not Path("/run/systemd/system").is_dir():
        return ["no supported init system detected, skipping checking for services"], []
    if subprocess.run(
        ["systemctl", "cat", "kubelet.service"], capture_output=True, check=False
    ).returncode:
        return ["kubelet service does not exist"], []
    if subprocess.run(
        ["systemctl", "is-enabled", "kubelet"], capture_output=True, check=False
    ).returncode:
        return ["kubelet service is not enabled, please run 'systemctl enable kubelet.service'"], []
    return FINE
