"""
Docker Engine beside Kubernetes, for images that are built on the node.
"""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import StringCommand

from facts.docker import Docker
from operations import apt
from operations.base import Commands, declare, operation, plan_change, read


@operation()
def engine() -> Commands:
    """
    Docker Engine runs, on the containerd that is there (Debian's docker.io; another one that is
    installed already is kept).

    To be run after ``containerd.runtime`` and with IP forwarding on: a dockerd that must turn it on
    itself also sets the policy of the FORWARD chain to DROP.

    **Example:**

    .. code:: python

        if host.data.docker:
            docker.engine(name="Docker Engine runs on the same containerd")
    """

    state = read(Docker)
    declare("package docker.io", "package docker-cli", "unit docker.service")
    if state.engine and state.client and state.enabled and state.active:
        host.noop("Docker Engine runs")
        return
    # Debian has the command in a package of its own, which docker.io only recommends.
    wanted = {"docker.io": state.engine, "docker-cli": state.client}
    missing = [package for package, there in wanted.items() if not there]
    if missing:
        resources = [f"package {package}" for package in missing]
        plan_change(f"install {' and '.join(missing)}", *resources)
        yield from apt.install(missing)
    if not (state.enabled and state.active):
        plan_change("start Docker Engine, now and at every boot", "unit docker.service")
    yield StringCommand("systemctl", "enable", "--now", "docker.service")
