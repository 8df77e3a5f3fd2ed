"""
Which disk may become a card: a whole one that can be taken out, that nothing uses, of a fit size.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from facts.block_devices import BlockDevice
from operations.base import HostFailure
from operations.sdcard.target import Target
from workstation.progress import size

# Larger than the cards that people buy, smaller than the disks that hold their backups.
LARGEST = 550_000_000_000
_SYSTEM = ("/", "/boot", "/boot/efi", "/boot/firmware", "/usr", "/var", "/home", "[SWAP]")
_WHOLE = ("disk", "loop")


def disk_target(devices: Sequence[BlockDevice], path: str, any_disk: bool) -> Target:
    """
    The disk that was named, when it may be written. ``HostFailure`` with the reason when not.

    + devices: all of this computer
    + path: as the person gave it
    + any_disk: one that is built in, or larger than cards are, is what is meant
    """
    found = _find(devices, path, any_disk)
    _in_use(devices, found)
    what = f"{found.path} ({_name(found)})"
    if found.read_only:
        raise HostFailure(
            f"{what} is write-protected: look for the lock on the side of its adapter"
        )
    if not found.size:
        raise HostFailure(f"{found.path} is a reader without a card: put one in")
    if any_disk:
        return Target(found.path, found.size, disk=True)
    if not found.removable and found.transport not in ("usb", "mmc"):
        raise HostFailure(
            f"{what} is built in, no card: if it is what you mean, --data any_disk=true"
        )
    if found.size > LARGEST:
        raise HostFailure(
            f"{what} is larger than cards are: if it is what you mean, --data any_disk=true"
        )
    return Target(found.path, found.size, disk=True)


def fits(target: Target, needed: int) -> None:
    """Refuse a disk that is too small for the image."""
    if target.disk and target.size < needed:
        raise HostFailure(
            f"{target.path} has {size(target.size)}, and the image needs {size(needed)}: "
            "take a larger card"
        )


def described(devices: Sequence[BlockDevice], path: str) -> list[str]:
    """What a disk is and what is on it, as lines for a person."""
    (disk,) = (device for device in devices if device.path == path)
    parts = [device for device in devices if device.disk == path and device is not disk]
    lines = [f"{path}: {_name(disk)}"]
    lines += [" ".join(["  " + part.path, *_content(part), size(part.size)]) for part in parts]
    if not parts:
        lines.append("  " + " ".join(["no partitions", *_content(disk)]))
    return lines


def _content(device: BlockDevice) -> list[str]:
    return [word for word in (device.filesystem, f'"{device.label}"') if word not in ("", '""')]


def _name(disk: BlockDevice) -> str:
    transport = {"usb": "USB", "mmc": "card slot", "": ""}.get(disk.transport, disk.transport)
    return ", ".join(word for word in (disk.model, transport, size(disk.size)) if word)


def _find(devices: Sequence[BlockDevice], path: str, any_disk: bool) -> BlockDevice:
    if not devices:
        raise HostFailure(
            "there is no lsblk here to tell disks by, so that none is written (macOS): make an "
            "image file with --data file=node1.img and write that: docs/parts-and-cards.md"
        )
    real = os.path.realpath(path)
    for device in devices:
        if device.path == real and device.kind in _WHOLE:
            return device
        if device.path == real:
            kind = {"part": "a partition"}.get(device.kind, f"no disk ({device.kind})")
            raise HostFailure(f"{path} is {kind}: name the whole disk, {device.disk}")
    likely = [
        f"{device.path} ({_name(device)})"
        for device in devices
        if device.kind == "disk" and device.removable and device.size
    ]
    here = f"cards here: {', '.join(likely)}" if likely else "no card is in any reader"
    what = "is no disk" if os.path.exists(real) else "is not there"
    raise HostFailure(f"{path} {what}: {here}")


def _in_use(devices: Sequence[BlockDevice], disk: BlockDevice) -> None:
    """Refuse what the system runs from, or has mounted, or has made something else of."""
    on_it = [device for device in devices if device.disk == disk.path]
    mounts = [(device, mount) for device in on_it for mount in device.mounts]
    for _, mount in mounts:
        if mount in _SYSTEM:
            raise HostFailure(
                f"{disk.path} is the disk that this system runs from ({mount} is on it)"
            )
    for device, mount in mounts:
        raise HostFailure(
            f"{device.path} is mounted at {mount}: sudo umount {device.path}, then run this again"
        )
    for device in on_it:
        if device is not disk and device.kind != "part":
            raise HostFailure(
                f"{disk.path} is in use by {device.path} ({device.kind}): release it first"
            )
