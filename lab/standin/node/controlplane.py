"""
The stand-in API server's process: started for the static Pods, outlives the kubelet as containers
do.

On a node it is a transient systemd unit (systemd-run(1)).
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from . import manifests

UNIT = "stand-in-control-plane.service"


def _package() -> tuple[str, Path]:
    """(this package's name, the directory it is imported from)."""
    name = __package__ or ""
    return name, Path(__file__).resolve().parents[len(name.split("."))]


def _systemctl(*arguments: str) -> bool:
    return (
        subprocess.run(
            ["systemctl", "--quiet", *arguments], capture_output=True, check=False
        ).returncode
        == 0
    )


def running() -> bool:
    """Whether it is there."""
    return _systemctl("is-active", UNIT)


def wanted() -> bool:
    """Whether the static Pods ask for it: without etcd there is no API."""
    return manifests.exists("kube-apiserver") and manifests.exists("etcd")


def fingerprint() -> str:
    """Changes when a manifest changes."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in manifests.all_files())).hexdigest()


def start() -> None:
    """Start it; again, should it fail."""
    name, folder = _package()
    _systemctl("reset-failed", UNIT)
    subprocess.run(
        [
            "systemd-run",
            "--quiet",
            "--collect",
            f"--unit={UNIT}",
            "--description=Stand-in for the control plane's static Pods",
            "--property=Restart=always",
            "--property=RestartSec=2",
            "--property=StartLimitIntervalSec=0",
            f"--setenv=PYTHONPATH={folder}",
            sys.executable,
            "-m",
            f"{name}.server",
        ],
        check=False,
    )


def stop() -> None:
    """Stop it."""
    _systemctl("stop", UNIT)
