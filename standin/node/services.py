"""The node's services: the kubelet, and the two processes that stand for the static Pods."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from .client import why
from .common import Fatal, Obj, duration, tell, text
from .manifests import HASH

HEALTH = "http://127.0.0.1:10248/healthz"
CONTROL_PLANE, ETCD = "stand-in-control-plane.service", "stand-in-etcd.service"
# Each with the Pods that it stands for; without the first it does not run.
UNITS: dict[str, tuple[str, ...]] = {ETCD: ("etcd",)}
UNITS[CONTROL_PLANE] = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
PROGRAM = "/usr/lib/stand-in/etcd/etcd"  # Debian's, in the root file system of the lab's nodes
LOG = "/var/log/pods/kube-system_etcd-{node}_{uid}/etcd/0.log"
_processes: dict[str, str] = {}  # of each unit


def systemctl(*arguments: str) -> bool:
    """Run systemctl; whether it succeeded."""
    command = ["systemctl", *arguments]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def kubelet(action: str) -> None:
    """Start or stop the kubelet; why it fails stands in its journal."""
    systemctl("daemon-reload")
    systemctl(action, "kubelet")


def wait_healthy(limit: str) -> None:
    """Wait for the kubelet's health port; Fatal after a time such as `4m0s`."""
    tell("kubelet-check", limit=limit)
    start = time.monotonic()
    while True:
        try:
            urllib.request.urlopen(HEALTH, timeout=5).close()
            tell("kubelet-healthy", after=f"{time.monotonic() - start:.3f}s")
            return
        except OSError as error:
            reason = why(getattr(error, "reason", error), "127.0.0.1", 10248)
        if time.monotonic() - start > duration(limit).total_seconds():
            tell("kubelet-unhealthy", after=limit)
            raise Fatal(text("kubelet-not-started", reason=reason))
        time.sleep(0.5)


def is_running(unit: str) -> bool:
    """Whether a unit has a process; systemd is asked only when the one that it had is gone."""
    with contextlib.suppress(OSError):
        if f"/{unit}" in Path(f"/proc/{_processes.get(unit)}/cgroup").read_text():
            return True
    command = ["systemctl", "show", "--property=MainPID", "--value", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    _processes[unit] = done.stdout.strip()
    return _processes[unit] not in ("", "0")


def start(unit: str, pod: Obj, node: str) -> None:
    """Start the process of static Pods, a transient unit: it outlives the kubelet."""
    package = str(__package__)
    folder = Path(__file__).resolve().parents[len(package.split("."))]
    command = [sys.executable, "-m", f"{package}.server"]
    options = [f"--setenv=PYTHONPATH={folder}"]
    if unit == ETCD:
        log = Path(LOG.format(node=node, uid=pod["metadata"]["annotations"][HASH]))
        log.parent.mkdir(parents=True, exist_ok=True)
        # A power cut of a virtual node loses nothing that was written to the host's page cache.
        options = [f"--property=StandardError=append:{log}", "--setenv=ETCD_UNSAFE_NO_FSYNC=true"]
        command = [PROGRAM, *pod["spec"]["containers"][0]["command"][1:]]
    about = ["--collect", f"--unit={unit}", "--description=Stand-in for static Pods"]
    subprocess.run(["systemd-run", "--quiet", *about, *options, *command], check=False)


def stop(unit: str) -> None:
    """Stop the process of static Pods."""
    systemctl("stop", unit)
