"""Read the backups that a node keeps."""

from __future__ import annotations

from dataclasses import dataclass, replace

from facts.base import State, UnexpectedLine, WholeFact, number, one_of, text_of
from formats import backup
from formats.backup import Manifest
from formats.unreadable import Unreadable

OWN = "/var/lib/bramble/backups"  # on the control plane
COPIES = "/var/lib/bramble-backups"  # on another node

_SCRIPT = f"""for f in {OWN}/*Z.tar {COPIES}/*Z.tar {COPIES}/*Z.tar.age; do [ -f "$f" ] || continue;
if [ ! -s "$f.json" ]; then s=unknown; elif grep -qF "$(sha256sum < "$f" | cut -c1-64)" "$f.json";
then s=good; else s=damaged; fi;
echo "$s $(stat -c %s "$f") $f $(base64 -w0 "$f.json" 2>/dev/null)"; done"""


@dataclass(frozen=True)
class NodeBackup(State):
    """
    + path: of the archive on the node
    + size: in bytes
    + is_good: whether its checksum is that of the manifest beside it
    + text: of that manifest; "" without it
    """

    path: str
    size: int
    is_good: bool
    text: str

    @property
    def manifest(self) -> Manifest | None:
        """The manifest beside it; None: there is none, or a damaged one."""
        try:
            return backup.parse(self.text)
        except Unreadable:
            return None


@dataclass(frozen=True)
class ControlPlaneState(State):
    """+ exists: whether kubeadm has made a control plane on this node"""

    exists: bool


class ControlPlane(WholeFact[ControlPlaneState]):
    """Read whether a node is a control plane with an etcd: a ``ControlPlaneState``."""

    script = ("[ -e /etc/kubernetes/manifests/etcd.yaml ] && echo yes || echo -",)

    def parse(self, exists: str) -> ControlPlaneState:
        return ControlPlaneState(one_of(exists, "yes", "-") == "yes")


class BackupsOfNode(WholeFact[list[NodeBackup]]):
    """Read the backups that a node keeps, with their checksums compared."""

    script = (_SCRIPT,)

    def parse(self, *lines: str) -> list[NodeBackup]:
        return [_parse(line) for line in lines]


def _parse(line: str) -> NodeBackup:
    words = line.split(" ")
    if len(words) != 4:
        raise UnexpectedLine(line)
    state, size, path, text = words
    good = one_of(state, "good", "damaged", "unknown") == "good"
    found = NodeBackup(path, number(size), good, text_of(text))
    return replace(found, is_good=good and found.manifest is not None)
