"""containerd, as the kubelet requires it."""

from __future__ import annotations

import re
from typing import Any

from messages import verify as messages
from tests.cluster.findings import check_service, deploy, last_line, wrong


def test_containerd(host: Any) -> None:
    """containerd"""
    command = "sudo systemctl restart containerd; sudo journalctl -u containerd -n 50"
    check_service(host, "containerd", command, "runtime")


def test_containerd_serves_the_kubelet(host: Any) -> None:
    """containerd answers (CRI)"""
    done = host.run("ctr plugins ls")
    if done.rc:
        wrong(messages.CONTAINERD_SILENT(reason=last_line(done)))
    state = re.search(r"(?m)^\S+\s+cri\s.*\b(\w+)\s*$", done.stdout)
    if state is None or state[1] != "ok":
        found = f"in the state {state[1]}" if state else "not loaded"
        wrong(messages.CRI(state=found, deploy=deploy("runtime")))


def test_control_groups(host: Any) -> None:
    """cgroup driver"""
    values = re.findall(r"SystemdCgroup = (\w+)", host.check_output("containerd config dump"))
    if values != ["true"]:
        wrong(messages.CGROUP_DRIVER(deploy=deploy("runtime")))
