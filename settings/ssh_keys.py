"""SSH keys: the operator's own, and the host keys that nodes get before they first boot."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from messages import settings as messages
from settings.cluster_folder import locked
from settings.model import Cluster, Node
from settings.private_key import public_half, public_line
from settings.problems import Problem, SettingsError

if TYPE_CHECKING:
    from formats.cloud_init import HostKey


def operator_key(cluster: Cluster) -> Path:
    """Find the operator's private key: ``ssh_private_key``, or .cluster/id_ed25519, which is made
    when missing (without a passphrase: the folder protects it)."""
    if cluster.ssh_private_key is not None:
        return cluster.project.absolute() / cluster.ssh_private_key
    with locked(cluster.project) as folder:
        return _pair(folder / "id_ed25519", "bramble operator")


def operator_public_key(cluster: Cluster) -> str:
    """Read the operator's public key, a line of authorized_keys."""
    return public_line(operator_key(cluster))


def host_key(cluster: Cluster, node: Node) -> HostKey:
    """Read the node's host key from .cluster/host_keys/, and make it once. An SD card that is
    written again gets the same one."""
    from formats.cloud_init import HostKey  # slow to import, and for SD cards only

    with locked(cluster.project) as folder:
        keys = folder / "host_keys"
        keys.mkdir(mode=0o700, exist_ok=True)
        path = _pair(keys / f"{node.name}_ed25519", node.name)
    return HostKey(
        private=path.read_text(encoding="utf-8"),
        public=public_line(path),
    )


def _pair(path: Path, comment: str) -> Path:
    """Make the ed25519 key pair when there is none. The private half is written last, so that an
    existing pair is complete."""
    if path.exists():
        private = path.read_text("utf-8", "replace") if path.is_file() else ""
        if [private[:5], public_line(path)[:5]] != ["-----", "ssh-e"]:
            raise SettingsError([Problem(".cluster", messages.KEY_PAIR_DAMAGED(path=path))])
        return path
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as temporary:
        new = Path(temporary) / path.name
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(new)]
        try:
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        except FileNotFoundError:
            raise SettingsError([Problem("ssh-keygen", messages.NO_SSH_KEYGEN())]) from None
        public_half(new).replace(public_half(path))
        new.replace(path)
    return path
