"""testinfra's hosts: one SSH connection a node, as root; and the reboot of the nodes."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import testinfra

import settings
from formats.etcd import majority_away
from messages import Said
from messages import verify as messages
from settings import Cluster, Node
from tests.cluster.findings import Wrong, deploy, last_line, wrong

# Seconds for a node to come back from a reboot. A Pi with a slow card takes one minute.
BACK = 180
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


class Connections:
    """
    A testinfra host for each node, or the reason why there is none.

    + hosts: by name, of the nodes that answer
    + problems: by name, of those that don't
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        # A short path: that of a socket has little room.
        self.folder = Path(tempfile.mkdtemp(prefix="verify-"))
        self.hosts: dict[str, Any] = {}
        self.problems: dict[str, Wrong] = {}

    def open(self, nodes: Iterable[Node]) -> None:
        """Connect: to the gateway first, then to all others at once."""
        nodes = list(nodes)
        for behind in (False, True):
            some = [node for node in nodes if behind is bool(self.cluster.gateway_of(node))]
            with ThreadPoolExecutor(max(len(some), 1)) as pool:
                list(pool.map(self._open, some))

    def _open(self, node: Node) -> None:
        self.hosts.pop(node.name, None)
        self.problems.pop(node.name, None)
        try:
            self.hosts[node.name] = self._answering(node)
        except Wrong as problem:
            self.problems[node.name] = problem

    def _answering(self, node: Node) -> Any:
        gateway = self.cluster.gateway_of(node)
        if gateway in self.problems:
            wrong(messages.GATEWAY_UNREACHABLE(gateway=gateway))
        host = testinfra.get_host(
            f"ssh://{node.name}",
            ssh_config=str(self._config),
            ssh_extra_args="-o BatchMode=yes",
            controlpath=str(self.folder / node.name),
            sudo=True,
        )
        try:
            done = host.run("true")
        except RuntimeError as error:
            raise self._unreachable(node, last_line(error.args[0])) from None
        if done.rc:
            wrong(messages.SUDO_PASSWORD(user=node.admin_user, reason=last_line(done)))
        return host

    def _unreachable(self, node: Node, text: str) -> Wrong:
        address = self.cluster.connect_address(node)
        if "Permission denied" in text:
            return Wrong(
                messages.KEY_REFUSED(
                    address=address,
                    user=node.admin_user,
                    deploy=deploy("ssh_access"),
                    node=node.name,
                )
            )
        if "Host key verification failed" in text:
            return Wrong(settings.changed_key(self.cluster, node))
        gateway = self.cluster.gateway_of(node)
        asked = f" from {gateway}" if gateway else ""
        why = "timed out" if "timed out" in text else text.rpartition(": ")[2]
        return Wrong(messages.UNREACHABLE(address=address, asked=asked, reason=why, node=node.name))

    @property
    def _config(self) -> Path:
        return self.cluster.project.absolute() / ".cluster" / "ssh_config"

    def close(self, nodes: Sequence[Node] | None = None) -> None:
        """Close the connections of some nodes; of all by default."""
        for node in self.cluster.nodes if nodes is None else nodes:
            socket = self.folder / node.name
            if socket.exists():
                command = ["ssh", "-O", "exit", "-o", f"ControlPath={socket}", node.name]
                subprocess.run(command, capture_output=True, check=False)
        if nodes is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def no_majority(self) -> Said | None:
        """
        What is wrong where too few control planes answer for etcd. None: enough do, there is one
        only, or they are behind a gateway that does not answer.
        """
        planes = self.cluster.control_plane
        if any(self.cluster.gateway_of(node) in self.problems for node in planes):
            return None
        return majority_away([node.name for node in planes], self.problems)

    # --- reboot ----------------------------------------------------------------------------------

    def reboot(self) -> dict[str, float | Wrong]:
        """Reboot the workers, then the control plane, last the gateway; return seconds or what is
        wrong by node, without those that did not answer before."""
        took: dict[str, float | Wrong] = {}
        groups = (self.cluster.workers, self.cluster.control_plane)
        gateway = [node for node in self.cluster.nodes if self.cluster.is_gateway(node)]
        for some in (
            *([node for node in group if node not in gateway] for group in groups),
            gateway,
        ):
            up = [node for node in some if node.name in self.hosts]
            with ThreadPoolExecutor(max(len(up), 1)) as pool:
                results = pool.map(self._rebooted, up)
            took |= zip((node.name for node in up), results, strict=True)
        # Connections through the gateway are dead.
        self.close(self.cluster.nodes)
        self.open(node for node in self.cluster.nodes if node.name in took)
        return took

    def boot(self, name: str) -> str:
        """The id of a node's boot; empty if it does not answer."""
        try:
            return str(self.hosts[name].run(BOOT_ID).stdout.strip())
        except (KeyError, RuntimeError):
            return ""

    def _rebooted(self, node: Node) -> float | Wrong:
        before = self.boot(node.name) or self._wait_for_boot(node)
        if not before:
            return Wrong(messages.CHECK_FAILED(reason=f"`{BOOT_ID}` prints nothing"))
        started = time.monotonic()
        try:
            done = self.hosts[node.name].run("systemctl reboot")
            if done.rc not in (0, 143):  # 143: it was quick, and ended the command too
                return Wrong(messages.REBOOT_REFUSED(reason=last_line(done)))
        except RuntimeError:
            pass  # the connection ended with it
        if self._wait_for_boot(node, before):
            return time.monotonic() - started
        why = self.problems.get(node.name)
        reason = f": {why.message.words}" if why else ""
        return Wrong(messages.REBOOT_TIMEOUT(seconds=BACK, reason=reason))

    def _wait_for_boot(self, node: Node, before: str = "") -> str:
        """The id of a node's boot, other than the one before; empty if it takes too long."""
        end = time.monotonic() + BACK
        while time.monotonic() < end:
            time.sleep(0.5)
            self.close([node])
            self._open(node)
            if (boot := self.boot(node.name)) not in ("", before):
                return boot
        return ""
