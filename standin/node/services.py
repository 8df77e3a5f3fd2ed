"""The node's services: the kubelet, and the process that stands for the static Pods."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from .common import Fatal, go_duration, tell, text

HEALTH = "http://127.0.0.1:10248/healthz"
REFUSED = "dial tcp 127.0.0.1:10248: connect: connection refused"
CONTROL_PLANE = "stand-in-control-plane.service"
RESTARTED = ("Restart=always", "RestartSec=2", "StartLimitIntervalSec=0")


def systemctl(*arguments: str) -> bool:
    """Run systemctl; whether it succeeded."""
    command = ["systemctl", *arguments]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def kubelet(action: str) -> None:
    """Start or stop the kubelet; why it fails stands in its journal."""
    systemctl("daemon-reload")
    systemctl(action, "kubelet")


def wait_healthy(seconds: float) -> None:
    """Wait for the kubelet's health port; Fatal after so many seconds."""
    tell("kubelet-check", limit=go_duration(seconds))
    start = time.monotonic()
    while True:
        try:
            urllib.request.urlopen(HEALTH, timeout=5).close()
            tell("kubelet-healthy", after=go_duration(time.monotonic() - start))
            return
        except OSError as error:
            inner = getattr(error, "reason", error)
            reason = REFUSED if isinstance(inner, ConnectionRefusedError) else str(inner)
        if time.monotonic() - start > seconds:
            tell("kubelet-unhealthy", after=go_duration(time.monotonic() - start))
            raise Fatal(text("kubelet-not-started", reason=reason))
        time.sleep(0.5)


def start_control_plane() -> None:
    """Start the control plane's process, a transient unit: it outlives the kubelet."""
    package = str(__package__)
    folder = Path(__file__).resolve().parents[len(package.split("."))]
    systemctl("reset-failed", CONTROL_PLANE)
    command = ["systemd-run", "--quiet", "--collect", f"--unit={CONTROL_PLANE}"]
    command += ["--description=Stand-in for the control plane's static Pods"]
    command += [f"--property={one}" for one in RESTARTED] + [f"--setenv=PYTHONPATH={folder}"]
    subprocess.run([*command, sys.executable, "-m", f"{package}.server"], check=False)


def stop_control_plane() -> None:
    """Stop the control plane's process."""
    systemctl("stop", CONTROL_PLANE)
