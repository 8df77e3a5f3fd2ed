"""Read the disks of a machine, their partitions, and where they are mounted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from facts.base import State, WholeFact, data_of

# MOUNTPOINTS: since util-linux 2.37, which is older than Python 3.11.
_SCRIPT = """if ! command -v lsblk > /dev/null; then echo '{}';
else lsblk -J -b -o PATH,TYPE,SIZE,RM,HOTPLUG,RO,TRAN,VENDOR,MODEL,FSTYPE,LABEL,MOUNTPOINTS \
2>/dev/null || echo lsblk failed; fi"""


@dataclass(frozen=True)
class BlockDevice(State):
    """
    A disk, a partition, or a volume on them.

    + kind: lsblk's type: "disk", "part", "loop", "crypt", "lvm", "raid1", "rom" …
    + disk: the path of the disk that it is on; a disk's own
    + size: in bytes; 0 for a reader without a card
    + removable: whether the kernel says that the medium, or the disk, can be removed
    + mounts: where it is mounted, "[SWAP]" for swap
    """

    path: str
    kind: str
    disk: str
    size: int
    removable: bool = False
    read_only: bool = False
    transport: str = ""
    model: str = ""
    filesystem: str = ""
    label: str = ""
    mounts: tuple[str, ...] = ()


class BlockDevices(WholeFact[list[BlockDevice]]):
    """Read all block devices, each disk before its parts; none without lsblk (macOS)."""

    script = (_SCRIPT,)

    def parse(self, *lines: str) -> list[BlockDevice]:
        found = data_of(*lines).get("blockdevices", [])
        return [device for disk in found for device in _flat(disk, disk["path"])]


def _flat(entry: dict[str, Any], disk: str) -> list[BlockDevice]:
    names = (entry["vendor"], entry["model"])
    device = BlockDevice(
        path=entry["path"],
        kind=entry["type"],
        disk=disk,
        size=int(entry["size"] or 0),
        removable=entry["rm"] or entry["hotplug"],
        read_only=entry["ro"],
        transport=entry["tran"] or "",
        model=" ".join(name.strip() for name in names if name and name.strip()),
        filesystem=entry["fstype"] or "",
        label=entry["label"] or "",
        mounts=tuple(mount for mount in entry["mountpoints"] if mount),
    )
    parts = [_flat(child, disk) for child in entry.get("children", [])]
    return [device, *(each for part in parts for each in part)]
