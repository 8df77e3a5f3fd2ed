"""Install Docker Engine beside Kubernetes, to build images on a node."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import StringCommand

from facts.docker import Docker
from operations.base import Commands, declare, operation, plan_change, read
from operations.packages import apt


@operation()
def engine() -> Commands:
    """
    Run Docker Engine on the containerd that Kubernetes uses.

    Installs Debian's docker.io, unless another Docker Engine is installed. To be run after
    ``containerd.runtime`` and with IP forwarding on: when dockerd has to turn it on, it also sets
    the policy of the FORWARD chain to DROP.
    """
    observed = read(Docker)
    declare("package docker.io", "package docker-cli", "unit docker.service")
    if observed.engine and observed.client and observed.enabled and observed.active:
        host.noop("Docker Engine runs")
        return
    # The docker command has its own package in Debian, which docker.io only recommends.
    installed = {"docker.io": observed.engine, "docker-cli": observed.client}
    missing = [package for package, present in installed.items() if not present]
    if missing:
        resources = [f"package {package}" for package in missing]
        plan_change(f"install {' and '.join(missing)}", *resources)
        yield from apt.install(missing)
    if not (observed.enabled and observed.active):
        plan_change("start Docker Engine, now and at every boot", "unit docker.service")
    yield StringCommand("systemctl", "enable", "--now", "docker.service")
