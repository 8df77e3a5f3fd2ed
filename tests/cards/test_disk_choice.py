"""Which disks are written, and with which message the others are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facts.block_devices import BlockDevice
from messages import Said
from messages import sdcard as messages
from operations.base import HostFailure
from operations.sdcard.disk import check_size, describe, disk_target
from operations.sdcard.target import Target

CARD = BlockDevice(
    "/dev/sdb", "disk", "/dev/sdb", 31_914_983_424, True, transport="usb", model="Generic Reader"
)
BOOT = BlockDevice(
    "/dev/sdb1", "part", "/dev/sdb", 536_870_912, True, filesystem="vfat", label="bootfs"
)
SYSTEM = BlockDevice("/dev/nvme0n1", "disk", "/dev/nvme0n1", 512_110_190_592, transport="nvme")
ROOT = BlockDevice("/dev/nvme0n1p1", "part", "/dev/nvme0n1", 512_109_142_016)
CRYPT = BlockDevice(
    "/dev/mapper/r", "crypt", "/dev/nvme0n1", 512_092_364_800, mounts=("/home", "/")
)
DEVICES = [CARD, BOOT, SYSTEM, ROOT, CRYPT]


def refused(path: str, *devices: BlockDevice, any_disk: bool = False) -> Said:
    with pytest.raises(HostFailure) as reason:
        disk_target(devices or DEVICES, path, any_disk)
    said: Said = reason.value.args[0]
    return said


def test_a_card_in_a_usb_reader_is_taken() -> None:
    target = disk_target(DEVICES, "/dev/sdb", any_disk=False)
    assert target == Target("/dev/sdb", 31_914_983_424, disk=True)


def test_a_usb_disk_of_a_cards_size_is_taken_though_its_medium_cannot_be_taken_out() -> None:
    ssd = replace(CARD, removable=False, size=240_057_409_536, model="USB SSD")
    assert disk_target([ssd], "/dev/sdb", any_disk=False).size == ssd.size


def test_a_built_in_card_slot_is_taken() -> None:
    slot = BlockDevice("/dev/mmcblk0", "disk", "/dev/mmcblk0", 31_914_983_424, True)
    assert disk_target([slot], "/dev/mmcblk0", any_disk=False).path == "/dev/mmcblk0"


def test_the_partitions_of_a_disk_are_shown() -> None:
    assert describe(DEVICES, "/dev/sdb") == [
        "/dev/sdb: Generic Reader, USB, 31.9 GB",
        '  /dev/sdb1 vfat "bootfs" 536.9 MB',
    ]
    empty = replace(CARD, filesystem="exfat", label="CAMERA")
    assert describe([empty], "/dev/sdb")[1] == '  no partitions exfat "CAMERA"'


@pytest.mark.parametrize("any_disk", [False, True])
def test_the_system_disk_is_never_written(any_disk: bool) -> None:
    said = refused("/dev/nvme0n1", any_disk=any_disk)
    assert said == messages.SYSTEM_DISK(path="/dev/nvme0n1", mount="/home")


@pytest.mark.parametrize("any_disk", [False, True])
def test_a_disk_with_swap_is_a_system_disk(any_disk: bool) -> None:
    swap = replace(BOOT, mounts=("[SWAP]",))
    said = refused("/dev/sdb", CARD, swap, any_disk=any_disk)
    assert said == messages.SYSTEM_DISK(path="/dev/sdb", mount="[SWAP]")


def test_a_mounted_card_is_refused_with_the_remedy() -> None:
    mounted = replace(BOOT, mounts=("/media/ann/bootfs",))
    said = refused("/dev/sdb", CARD, mounted)
    assert said == messages.MOUNTED(partition="/dev/sdb1", mount="/media/ann/bootfs")
    assert "`sudo umount /dev/sdb1`" in said


def test_a_disk_of_a_logical_volume_is_refused() -> None:
    volume = BlockDevice("/dev/mapper/backup", "lvm", "/dev/sdb", 1000)
    said = refused("/dev/sdb", CARD, BOOT, volume)
    assert said == messages.DISK_IN_USE(path="/dev/sdb", user="/dev/mapper/backup", kind="lvm")


def test_a_partition_is_refused() -> None:
    said = refused("/dev/sdb1")
    assert said.message is messages.NOT_A_WHOLE_DISK
    assert said.values == {"path": "/dev/sdb1", "kind": "a partition", "disk": "/dev/sdb"}


def test_a_missing_device_is_refused_and_the_cards_found_are_listed() -> None:
    said = refused("/dev/sdx")
    assert said.message is messages.NO_SUCH_DISK
    assert "/dev/sdb (Generic Reader, USB, 31.9 GB)" in str(said.values["cards"])
    none, file = refused("/dev/sdx", SYSTEM), refused("/dev/null", SYSTEM)
    assert none.message is file.message is messages.NO_SUCH_DISK
    assert "/dev/" not in str(none.values["cards"])
    assert none.values["problem"] != file.values["problem"], "one of them exists"


def test_a_write_protected_card_is_refused() -> None:
    said = refused("/dev/sdb", replace(CARD, read_only=True))
    assert said == messages.WRITE_PROTECTED(disk="/dev/sdb (Generic Reader, USB, 31.9 GB)")


def test_a_reader_without_a_card_is_refused() -> None:
    assert refused("/dev/sdb", replace(CARD, size=0)) == messages.NO_CARD(path="/dev/sdb")


def test_a_built_in_disk_is_refused_unless_it_is_meant() -> None:
    disk = BlockDevice(
        "/dev/sda", "disk", "/dev/sda", 64_000_000_000, transport="sata", model="SSD"
    )
    said = refused("/dev/sda", disk)
    assert said == messages.NOT_REMOVABLE(disk="/dev/sda (SSD, sata, 64.0 GB)")
    assert "--data any_disk=true" in said
    assert disk_target([disk], "/dev/sda", any_disk=True).path == "/dev/sda"


def test_a_disk_for_backups_is_refused_unless_it_is_meant() -> None:
    large = replace(CARD, size=4_000_787_030_016)
    said = refused("/dev/sdb", large)
    assert said == messages.TOO_LARGE(disk="/dev/sdb (Generic Reader, USB, 4.0 TB)")
    assert "--data any_disk=true" in said
    assert disk_target([large], "/dev/sdb", any_disk=True).size == large.size


def test_a_card_that_is_too_small_is_refused() -> None:
    target = Target("/dev/sdb", 2_000_000_000, disk=True)
    with pytest.raises(HostFailure) as reason:
        check_size(target, 3_061_841_920)
    expected = messages.TOO_SMALL(path="/dev/sdb", size="2.0 GB", needed="3.1 GB")
    assert reason.value.args[0] == expected
    check_size(target, 2_000_000_000)


def test_without_lsblk_no_disk_is_written() -> None:
    with pytest.raises(HostFailure) as reason:
        disk_target([], "/dev/disk4", any_disk=True)
    assert reason.value.args[0] == messages.NO_LSBLK()
    assert "--data file=node1.img" in str(reason.value)
