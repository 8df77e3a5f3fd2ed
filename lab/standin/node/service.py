"""The kubelet's service, and waiting for it."""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from .common import Fatal, go_duration, say

HEALTH = "http://127.0.0.1:10248/healthz"


def has_systemd() -> bool:
    """Whether there are services at all."""
    return shutil.which("systemctl") is not None and Path("/run/systemd/system").is_dir()


def kubelet(action: str) -> None:
    """start or stop; a failure is the kubelet's to show in its journal."""
    if has_systemd():
        subprocess.run(["systemctl", "daemon-reload"], capture_output=True, check=False)
        subprocess.run(["systemctl", action, "kubelet"], capture_output=True, check=False)


def wait_healthy(seconds: float, phase: str) -> None:
    """Wait for the kubelet's health port."""
    say(
        f"[kubelet-check] Waiting for a healthy kubelet at {HEALTH}. This can take up to {go_duration(seconds)}"
    )
    start = time.monotonic()
    reason = ""
    while time.monotonic() - start < seconds:
        try:
            with urllib.request.urlopen(HEALTH, timeout=5):
                say(
                    f"[kubelet-check] The kubelet is healthy after {go_duration(time.monotonic() - start)}"
                )
                return
        except OSError as error:
            inner = getattr(error, "reason", error)
            refused = isinstance(inner, ConnectionRefusedError)
            reason = (
                "dial tcp 127.0.0.1:10248: connect: connection refused" if refused else str(inner)
            )
        time.sleep(0.5)
    say(f"[kubelet-check] The kubelet is not healthy after {go_duration(time.monotonic() - start)}")
    say("\nUnfortunately, an error has occurred, likely caused by:")
    say("\t- The kubelet is not running")
    say(
        "\t- The kubelet is unhealthy due to a misconfiguration of the node in some way (required cgroups disabled)"
    )
    say(
        "\nIf you are on a systemd-powered system, you can try to troubleshoot the error with the following commands:"
    )
    say("\t- 'systemctl status kubelet'\n\t- 'journalctl -xeu kubelet'\n")
    raise Fatal(
        f"error execution phase {phase}: failed while waiting for the kubelet to start: The HTTP call equal to "
        f"'curl -sSL {HEALTH}' returned error: Get \"{HEALTH}\": {reason}"
    )
