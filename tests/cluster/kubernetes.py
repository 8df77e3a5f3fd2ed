"""The cluster's objects, read by kubectl on the control plane."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from messages import verify as messages
from tests.cluster.connections import Connections
from tests.cluster.findings import Wrong, control_plane_logs, deploy, last_line, wrong

KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf --request-timeout=15s "
# Seconds until all nodes are Ready again after a reboot of all.
READY = 180


class Kubernetes:
    """kubectl on the control plane; the nodes are read once, even if that fails."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.cluster = connections.cluster
        self._nodes: dict[str, dict[str, Any]] | None = None
        self._problem: Wrong | None = None

    @property
    def asked(self) -> str:
        """The control plane that is asked: the first that there is a connection to."""
        names = [each.name for each in self.cluster.control_plane]
        return next((name for name in names if name in self.connections.hosts), names[0])

    @property
    def control_plane(self) -> Any:
        """testinfra's host for the control plane."""
        if self.asked not in self.connections.hosts:
            pytest.skip(f"no connection to {self.asked}")
        return self.connections.hosts[self.asked]

    def kubectl(self, command: str) -> str:
        """The output of kubectl; fail the check if it fails."""
        return self._printed(self.control_plane.run(KUBECTL + command))

    def create(self, objects: list[dict[str, Any]]) -> None:
        """Create objects."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self._printed(
            self.control_plane.run(f"printf %%s %s | {KUBECTL} create --validate=false -f -", text)
        )

    def _printed(self, done: Any) -> str:
        if done.rc:
            name, reason = self.asked, last_line(done)
            silent = messages.KUBECTL(node=name, reason=reason, remedy=control_plane_logs(name))
            wrong(self.connections.no_majority() or silent)
        return str(done.stdout)

    def nodes(self) -> dict[str, dict[str, Any]]:
        """The Node objects, by name."""
        if self._problem is not None:
            raise self._problem
        if self._nodes is None:
            try:
                items = json.loads(self.kubectl("get nodes -o json"))["items"]
            except Wrong as problem:
                self._problem = problem
                raise
            self._nodes = {item["metadata"]["name"]: item for item in items}
        return self._nodes

    def node(self, name: str) -> dict[str, Any]:
        """The node's object."""
        nodes = self.nodes()
        if name not in nodes:
            wrong(messages.NODE_UNKNOWN(deploy=deploy("cluster")))
        return nodes[name]

    def wait_until_ready(self) -> None:
        """Wait until the nodes that answer have become Ready since their boot; if they take too
        long, the checks report it."""
        if self.asked not in self.connections.hosts:
            return
        booted = {name: self.connections.boot(name) for name in self.connections.hosts}
        end = time.monotonic() + READY
        while time.monotonic() < end:
            done = self.control_plane.run(KUBECTL + "get nodes -o json")
            items = json.loads(done.stdout)["items"] if done.rc == 0 else []
            ready = {
                item["metadata"]["name"]: item["status"]["nodeInfo"]["bootID"]
                for item in items
                if condition(item, "Ready")["status"] == "True"
            }
            if booted.items() <= ready.items():
                return
            time.sleep(1)


def condition(item: dict[str, Any], kind: str) -> dict[str, Any]:
    """The condition of that type among an object's; an empty status where there is none."""
    for each in item["status"].get("conditions", []):
        if each["type"] == kind:
            return dict(each)
    return {"status": "", "message": "it has never reported"}
