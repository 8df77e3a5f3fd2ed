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
from .common import CRI_SOCKET, Fatal, Obj, root, tell, text
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


def port_open(port: int) -> Check:
    """Check that nobody listens on a port."""

    def is_taken() -> bool:
        try:
            socket.create_server(("", port)).close()
        except OSError:
            return True
        return False

    return _when(f"Port-{port}", is_taken, f"Port {port} is in use")


def _runtime(endpoint: str) -> Check:
    def answers() -> Result:
        try:
            Runtime(endpoint).check()
        except CriError as error:
            return [], [text("no-runtime", endpoint=endpoint, why=error)]
        return FINE

    return "CRI", answers


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
    return [], [f"missing required cgroups: {' '.join(missing)}" if missing else text("cgroup-v1")]


def _common(registration: Obj) -> list[Check]:
    return [
        _runtime(registration["criSocket"]),
        ("Swap", swap),
        ("SystemVerification", _system),
        port_open(10250),
    ]


FORWARD, UNSET = "/proc/sys/net/ipv4/ip_forward", "contents are not set to 1"
FORWARDING = _about("FileContent", FORWARD, lambda: root(FORWARD).read_text() != "1\n", UNSET)
PRIVILEGED = _when("IsPrivilegedUser", lambda: os.geteuid() != 0, "user is not running as root")


def init_checks(config: settings.Config) -> list[Check]:
    """Return the checks of `kubeadm init`."""
    own = control_plane_checks(config)
    return [*own[:-3], *_common(config.init["nodeRegistration"]), FORWARDING, *own[-3:]]


def control_plane_checks(config: settings.Config) -> list[Check]:
    """Return the checks for a control plane, those of etcd last."""
    return [
        *map(port_open, (config.init["localAPIEndpoint"]["bindPort"], 10259, 10257)),
        *(file_available(manifests.path(one)) for one in manifests.EXTRA),
        port_open(2379),
        port_open(2380),
        directory_available(config.cluster["etcd"]["local"]["dataDir"]),
    ]


def join_checks(join: Obj) -> list[Check]:
    """Return the checks of `kubeadm join`."""
    return [
        file_available("/etc/kubernetes/kubelet.conf"),
        file_available("/etc/kubernetes/bootstrap-kubelet.conf"),
        *_common(join["nodeRegistration"]),
        *([] if join.get("controlPlane") else [file_available(join["caCertPath"])]),
        FORWARDING,
    ]


def upgrade_checks() -> list[Check]:
    """Return the checks of `kubeadm upgrade`."""
    return [PRIVILEGED, _runtime(CRI_SOCKET), ("SystemVerification", _system)]


def images_check(config: settings.Config) -> Check:
    """Return the check that pulls the images that are missing."""
    runtime = Runtime(config.init["nodeRegistration"]["criSocket"])

    def check() -> Result:
        pulled = images.pull_missing(runtime, config.cluster)
        return [], [f"failed to pull image {image}: {why}" for image, why in pulled if why]

    return "ImagePull", check


def run_with_images(checks: list[Check], config: settings.Config) -> None:
    """Run checks, then pull the images that are missing."""
    run(checks, config.ignored)
    tell("preflight-images")
    run([images_check(config)], config.ignored)


def ignored(flag: str, listed: list[str]) -> set[str]:
    """Return the checks of --ignore-preflight-errors and of the file, in lower case."""
    return {one.strip().lower() for one in [*flag.split(","), *listed] if one.strip()}
