"""Check that a disk may be overwritten: whole, removable, unused, and of an SD card's size."""

from __future__ import annotations

import os
from collections.abc import Sequence

from facts.block_devices import BlockDevice
from messages import sdcard as messages
from operations.base import HostFailure
from operations.sdcard.target import Target
from workstation.progress import format_size

# In bytes: above the SD cards that are sold, below the disks that hold backups.
LARGEST = 550_000_000_000
_SYSTEM = ("/", "/boot", "/boot/efi", "/boot/firmware", "/usr", "/var", "/home", "[SWAP]")
_WHOLE = ("disk", "loop")


def disk_target(devices: Sequence[BlockDevice], path: str, any_disk: bool) -> Target:
    """
    Return the disk at a path, if it may be written; else raise ``HostFailure``.

    + devices: all of this computer
    + path: as the person gave it
    + any_disk: allow one that is built in, or larger than SD cards are
    """
    disk = _find(devices, path)
    _check_unused(devices, disk)
    shown = f"{disk.path} ({_describe_disk(disk)})"
    if disk.read_only:
        raise HostFailure(messages.WRITE_PROTECTED(disk=shown))
    if not disk.size:
        raise HostFailure(messages.NO_CARD(path=disk.path))
    if not any_disk:
        if not disk.removable and disk.transport not in ("usb", "mmc"):
            raise HostFailure(messages.NOT_REMOVABLE(disk=shown))
        if disk.size > LARGEST:
            raise HostFailure(messages.TOO_LARGE(disk=shown))
    return Target(disk.path, disk.size, disk=True)


def check_size(target: Target, needed: int) -> None:
    """Raise ``HostFailure`` for a disk with fewer bytes than the image needs."""
    if target.disk and target.size < needed:
        size, needed_size = format_size(target.size), format_size(needed)
        raise HostFailure(messages.TOO_SMALL(path=target.path, size=size, needed=needed_size))


def describe(devices: Sequence[BlockDevice], path: str) -> list[str]:
    """Describe a disk and its partitions, a line each."""
    (disk,) = (device for device in devices if device.path == path)
    parts = [device for device in devices if device.disk == path and device is not disk]
    lines = [f"{path}: {_describe_disk(disk)}"]
    lines += [
        " ".join(["  " + part.path, *_content(part), format_size(part.size)]) for part in parts
    ]
    if not parts:
        lines.append("  " + " ".join(["no partitions", *_content(disk)]))
    return lines


def _content(device: BlockDevice) -> list[str]:
    return [word for word in (device.filesystem, f'"{device.label}"') if word not in ("", '""')]


def _describe_disk(disk: BlockDevice) -> str:
    transport = {"usb": "USB", "mmc": "card slot", "": ""}.get(disk.transport, disk.transport)
    return ", ".join(word for word in (disk.model, transport, format_size(disk.size)) if word)


def _find(devices: Sequence[BlockDevice], path: str) -> BlockDevice:
    if not devices:
        raise HostFailure(messages.NO_LSBLK())
    real = os.path.realpath(path)
    for device in devices:
        if device.path == real and device.kind in _WHOLE:
            return device
        if device.path == real:
            kind = {"part": "a partition"}.get(device.kind, f"not a disk ({device.kind})")
            raise HostFailure(messages.NOT_A_WHOLE_DISK(path=path, kind=kind, disk=device.disk))
    likely = [
        f"{device.path} ({_describe_disk(device)})"
        for device in devices
        if device.kind == "disk" and device.removable and device.size
    ]
    cards = f"cards found: {', '.join(likely)}" if likely else "no reader has a card in it"
    problem = "is not a disk" if os.path.exists(real) else "does not exist"
    raise HostFailure(messages.NO_SUCH_DISK(path=path, problem=problem, cards=cards))


def _check_unused(devices: Sequence[BlockDevice], disk: BlockDevice) -> None:
    """Raise ``HostFailure`` for the system's disk, a mounted one, and part of a volume or RAID."""
    on_it = [device for device in devices if device.disk == disk.path]
    mounts = [(device, mount) for device in on_it for mount in device.mounts]
    for _, mount in mounts:
        if mount in _SYSTEM:
            raise HostFailure(messages.SYSTEM_DISK(path=disk.path, mount=mount))
    for device, mount in mounts:
        raise HostFailure(messages.MOUNTED(partition=device.path, mount=mount))
    for device in on_it:
        if device is not disk and device.kind != "part":
            raise HostFailure(
                messages.DISK_IN_USE(path=disk.path, user=device.path, kind=device.kind)
            )
