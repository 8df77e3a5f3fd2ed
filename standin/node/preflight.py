"""
kubeadm's checks before it changes anything: against the node's true state, in its order and words.

Source: kubernetes.io, "kubeadm implementation details" (preflight checks), recorded runs of 1.36.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable

from . import config as settings
from . import images, manifests
from .common import CRI_SOCKET, Fatal, Obj, root, say, tell, text
from .containerd import CriError, Runtime

# What a check returns: warnings and errors.
Result = tuple[list[str], list[str]]
Check = tuple[str, Callable[[], Result]]
FINE: Result = ([], [])
CONTROLLERS = ("cpu", "cpuset", "memory", "pids")


def run(checks: list[Check], ignored: set[str]) -> None:
    """Run the checks: warnings are printed at once, errors together at the end, then Fatal."""
    errors = []
    for name, check in checks:
        warned, failed = check()
        if ignored & {"all", name.lower()}:
            warned, failed = [*warned, *failed], []
        for one in warned:
            print(f"\t[WARNING {name}]: {one}", file=sys.stderr, flush=True)
        errors += [f"\t[ERROR {name}]: {one}" for one in failed]
    if errors:
        lines = [text("preflight-errors"), *errors, text("preflight-hint")]
        print(*lines, sep="\n", file=sys.stderr, flush=True)
        raise Fatal("preflight checks failed")


def _when(name: str, is_wrong: Callable[[], bool], problem: str) -> Check:
    """Return a check that is an error while something is wrong."""
    return name, lambda: ([], [problem]) if is_wrong() else FINE


def _about(kind: str, path: str, is_wrong: Callable[[], bool], problem: str) -> Check:
    return _when(f"{kind}-{path.replace('/', '-')}", is_wrong, f"{path} {problem}")


def file_available(path: str) -> Check:
    """Check that a file is not there yet."""
    return _about("FileAvailable", path, root(path).exists, "already exists")


def directory_available(path: str) -> Check:
    """Check that a directory is missing or empty."""
    return _about("DirAvailable", path, lambda: any(root(path).glob("*")), "is not empty")


def file_content(path: str, wanted: str) -> Check:
    """Check that a file begins with `wanted`."""

    def is_wrong() -> bool:
        return not root(path).exists() or not root(path).read_text().startswith(wanted)

    return _about("FileContent", path, is_wrong, f"contents are not set to {wanted}")


def port_open(port: int) -> Check:
    """Check that nobody listens on a port."""

    def is_taken() -> bool:
        try:
            socket.create_server(("", port)).close()
        except OSError:
            return True
        return False

    return _when(f"Port-{port}", is_taken, f"Port {port} is in use")


def _runtime(endpoint: str) -> list[Check]:
    runtime = Runtime(endpoint)

    def answers() -> Result:
        try:
            runtime.check()
        except CriError as error:
            return [], [text("no-runtime", endpoint=endpoint, why=error)]
        return FINE

    return [("CRI", answers)]


def swap() -> Result:
    """Warn of swap."""
    return ([text("swap")], []) if settings.has_swap() else FINE


def _system() -> Result:
    """
    Check the control groups.

    A lab node may have no controllers at all (an empty list): that says nothing about a Raspberry
    Pi, and passes. A list without memory is what a Pi has before its command line is changed.
    """
    listed = root("/sys/fs/cgroup/cgroup.controllers")
    have = listed.read_text().split() if listed.exists() else []
    missing = [one for one in CONTROLLERS if have and one not in have]
    if listed.exists() and not missing:
        return FINE
    tell("system-verification")
    say(f"KERNEL_VERSION: {os.uname().release}\nOS: Linux")
    for one in CONTROLLERS if have else ():
        say(f"CGROUPS_{one.upper()}: {'missing' if one in missing else 'enabled'}")
    return [], [f"missing required cgroups: {' '.join(missing)}" if missing else text("cgroup-v1")]


def _common(registration: Obj) -> list[Check]:
    return [
        *_runtime(registration["criSocket"]),
        ("Swap", swap),
        ("SystemVerification", _system),
        port_open(10250),
    ]


FORWARDING = file_content("/proc/sys/net/ipv4/ip_forward", "1")
PRIVILEGED = _when("IsPrivilegedUser", lambda: os.geteuid() != 0, "user is not running as root")


def init_checks(config: settings.Config) -> list[Check]:
    """Return the checks of `kubeadm init`."""
    count = len(os.sched_getaffinity(0))
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024 // 1024
    return [
        _when("NumCPU", lambda: count < 2, text("few-processors", count=count)),
        _when("Mem", lambda: size < 1700, text("little-memory", size=size)),
        *map(port_open, (config.init["localAPIEndpoint"]["bindPort"], 10259, 10257)),
        *(file_available(manifests.path(one)) for one in manifests.EXTRA),
        *_common(config.init["nodeRegistration"]),
        FORWARDING,
        port_open(2379),
        port_open(2380),
        directory_available(config.cluster["etcd"]["local"]["dataDir"]),
    ]


def join_checks(join: Obj) -> list[Check]:
    """Return the checks of `kubeadm join`, for a worker."""
    return [
        file_available("/etc/kubernetes/kubelet.conf"),
        file_available("/etc/kubernetes/bootstrap-kubelet.conf"),
        *_common(join["nodeRegistration"]),
        file_available(join["caCertPath"]),
        FORWARDING,
    ]


def upgrade_checks() -> list[Check]:
    """Return the checks of `kubeadm upgrade`."""
    return [PRIVILEGED, *_runtime(CRI_SOCKET), ("SystemVerification", _system)]


def images_check(config: settings.Config) -> Check:
    """Return the check that pulls the images that are missing."""
    runtime = Runtime(config.init["nodeRegistration"]["criSocket"])

    def check() -> Result:
        failed = []
        try:
            for image, why in images.pull_missing(runtime, config.cluster):
                failed += [f"failed to pull image {image}: {why}"] if why else []
        except CriError as error:
            failed = [f"could not connect to the container runtime: {error}"]
        return [], failed

    return "ImagePull", check


def ignored(flag: str, listed: list[str]) -> set[str]:
    """Return the checks of --ignore-preflight-errors and of the file, in lower case."""
    return {one.strip().lower() for one in [*flag.split(","), *listed] if one.strip()}
