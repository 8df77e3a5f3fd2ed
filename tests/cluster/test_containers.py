"""containerd, as the kubelet wants it."""

from __future__ import annotations

import re
from typing import Any

from tests.cluster.words import deploy, said, wrong


def test_containerd(host: Any) -> None:
    """containerd"""
    service = host.service("containerd")
    if not service.is_running:
        wrong(
            "containerd does not run",
            "sudo systemctl restart containerd; sudo journalctl -u containerd -n 50",
        )
    if not service.is_enabled:
        wrong("containerd will not be started at boot", deploy("runtime"))


def test_containerd_serves_the_kubelet(host: Any) -> None:
    """containerd answers (CRI)"""
    done = host.run("ctr plugins ls")
    if done.rc:
        wrong(f"containerd does not answer: {said(done)}", "sudo systemctl restart containerd")
    state = re.search(r"(?m)^\S+\s+cri\s.*\b(\w+)\s*$", done.stdout)
    if state is None or state[1] != "ok":
        text = f"its state is {state[1]}" if state else "it is not loaded"
        wrong(f"containerd's plugin `cri`, which the kubelet needs: {text}", deploy("runtime"))


def test_control_groups(host: Any) -> None:
    """control groups by systemd"""
    values = re.findall(r"SystemdCgroup = (\w+)", host.check_output("containerd config dump"))
    if values != ["true"]:
        wrong(
            "containerd's configuration has no SystemdCgroup = true: pods would be ended over "
            "and over",
            deploy("runtime"),
        )
