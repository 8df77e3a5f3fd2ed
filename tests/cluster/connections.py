"""The nodes as testinfra sees them: over one SSH connection each, as root; and their reboot."""

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
from settings import Cluster, Node
from tests.cluster.words import Wrong, deploy, said, wrong

# Seconds for a node to come back from a reboot. A Pi with a slow card takes one minute.
BACK = 180
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


class Connections:
    """
    A testinfra host for each node, and why there is none.

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
            wrong(
                f"it is reached through {gateway}, which does not answer",
                f"see to {gateway} first",
            )
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
            raise self._unreachable(node, said(error.args[0])) from None
        if done.rc:
            wrong(
                f"{node.admin_user} may not use sudo without a password: {said(done)}",
                f"there, as root: echo '{node.admin_user} ALL=(ALL) NOPASSWD: ALL' "
                f"> /etc/sudoers.d/{node.admin_user}",
            )
        return host

    def _unreachable(self, node: Node, text: str) -> Wrong:
        address = self.cluster.connect_address(node)
        if "Permission denied" in text:
            what = f"it does not take your key for {node.admin_user} ({address})"
            return Wrong(what, f"{deploy('ssh_access')} --limit {node.name} --ssh-password-prompt")
        if "Host key verification failed" in text:
            return Wrong(settings.changed_key_remedy(self.cluster, node), "")
        gateway = self.cluster.gateway_of(node)
        asked = f", asked from {gateway}" if gateway else ""
        why = "timed out" if "timed out" in text else text.rpartition(": ")[2]
        do = f"see that it is on and its cable in; ssh -F .cluster/ssh_config {node.name}"
        return Wrong(f"it does not answer at {address}{asked}: {why}", do)

    @property
    def _config(self) -> Path:
        return self.cluster.desk.absolute() / ".cluster" / "ssh_config"

    def close(self, nodes: Sequence[Node] | None = None) -> None:
        """End the connections: of all nodes where none are named."""
        for node in self.cluster.nodes if nodes is None else nodes:
            socket = self.folder / node.name
            if socket.exists():
                command = ["ssh", "-O", "exit", "-o", f"ControlPath={socket}", node.name]
                subprocess.run(command, capture_output=True, check=False)
        if nodes is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- reboot ----------------------------------------------------------------------------------

    def reboot(self) -> dict[str, float | Wrong]:
        """Reboot the workers, then the control plane, the gateway last; by name, the seconds that
        it took, or what is wrong. Nodes that did not answer before are left alone."""
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
        """What tells this boot of a node from all others; nothing when it does not answer."""
        try:
            return str(self.hosts[name].run(BOOT_ID).stdout.strip())
        except (KeyError, RuntimeError):
            return ""

    def _rebooted(self, node: Node) -> float | Wrong:
        before, started = self.boot(node.name), time.monotonic()
        try:
            done = self.hosts[node.name].run("systemctl reboot")
            if done.rc not in (0, 143):  # 143: it was quick, and ended the command too
                return Wrong(f"it refuses to reboot: {said(done)}", "sudo systemctl reboot")
        except RuntimeError:
            pass  # the connection ended with it
        while time.monotonic() - started < BACK:
            time.sleep(0.5)
            self.close([node])
            self._open(node)
            if self.boot(node.name) not in ("", before):
                return time.monotonic() - started
        why = self.problems.get(node.name)
        what = f"it is not back {BACK} s after `reboot`" + (f": {why.what}" if why else "")
        return Wrong(what, "look at its screen, or pull its plug and put it in again")
