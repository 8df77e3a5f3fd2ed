"""Which disks become cards, and in which words the others are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facts.block_devices import BlockDevice
from operations.base import HostFailure
from operations.sdcard import disk as card_choice
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


def refused(path: str, *devices: BlockDevice, any_disk: bool = False) -> str:
    with pytest.raises(HostFailure) as reason:
        card_choice.disk_target(devices or DEVICES, path, any_disk)
    return str(reason.value)


def test_a_card_in_a_usb_reader_is_taken() -> None:
    target = card_choice.disk_target(DEVICES, "/dev/sdb", any_disk=False)
    assert target == Target("/dev/sdb", 31_914_983_424, disk=True)


def test_a_usb_disk_of_a_cards_size_is_taken_though_its_medium_cannot_be_taken_out() -> None:
    ssd = replace(CARD, removable=False, size=240_057_409_536, model="USB SSD")
    assert card_choice.disk_target([ssd], "/dev/sdb", any_disk=False).size == ssd.size


def test_a_built_in_card_slot_is_taken() -> None:
    slot = BlockDevice("/dev/mmcblk0", "disk", "/dev/mmcblk0", 31_914_983_424, True)
    assert card_choice.disk_target([slot], "/dev/mmcblk0", any_disk=False).path == "/dev/mmcblk0"


def test_what_is_on_it_is_shown() -> None:
    assert card_choice.described(DEVICES, "/dev/sdb") == [
        "/dev/sdb: Generic Reader, USB, 31.9 GB",
        '  /dev/sdb1 vfat "bootfs" 536.9 MB',
    ]
    empty = replace(CARD, filesystem="exfat", label="CAMERA")
    assert card_choice.described([empty], "/dev/sdb")[1] == '  no partitions exfat "CAMERA"'


@pytest.mark.parametrize("any_disk", [False, True])
def test_the_system_disk_is_never_written(any_disk: bool) -> None:
    assert refused("/dev/nvme0n1", any_disk=any_disk) == (
        "/dev/nvme0n1 is the disk that this system runs from (/home is on it)"
    )


@pytest.mark.parametrize("any_disk", [False, True])
def test_a_disk_with_swap_is_the_systems_too(any_disk: bool) -> None:
    swap = replace(BOOT, mounts=("[SWAP]",))
    assert refused("/dev/sdb", CARD, swap, any_disk=any_disk) == (
        "/dev/sdb is the disk that this system runs from ([SWAP] is on it)"
    )


def test_a_mounted_card_is_refused_with_the_remedy() -> None:
    mounted = replace(BOOT, mounts=("/media/ann/bootfs",))
    assert refused("/dev/sdb", CARD, mounted) == (
        "/dev/sdb1 is mounted at /media/ann/bootfs: sudo umount /dev/sdb1, then run this again"
    )


def test_a_disk_that_something_is_made_of_is_refused() -> None:
    volume = BlockDevice("/dev/mapper/backup", "lvm", "/dev/sdb", 1000)
    assert refused("/dev/sdb", CARD, BOOT, volume) == (
        "/dev/sdb is in use by /dev/mapper/backup (lvm): release it first"
    )


def test_a_partition_is_refused() -> None:
    assert refused("/dev/sdb1") == "/dev/sdb1 is a partition: name the whole disk, /dev/sdb"


def test_what_is_not_there_is_refused_with_the_cards_that_are() -> None:
    assert refused("/dev/sdx") == (
        "/dev/sdx is not there: cards here: /dev/sdb (Generic Reader, USB, 31.9 GB)"
    )
    assert refused("/dev/sdx", SYSTEM) == "/dev/sdx is not there: no card is in any reader"
    assert refused("/dev/null", SYSTEM) == "/dev/null is no disk: no card is in any reader"


def test_a_write_protected_card_is_refused() -> None:
    assert refused("/dev/sdb", replace(CARD, read_only=True)) == (
        "/dev/sdb (Generic Reader, USB, 31.9 GB) is write-protected: look for the lock on the side "
        "of its adapter"
    )


def test_a_reader_without_a_card_is_told() -> None:
    empty = replace(CARD, size=0)
    assert refused("/dev/sdb", empty) == "/dev/sdb is a reader without a card: put one in"


def test_a_built_in_disk_is_refused_unless_it_is_meant() -> None:
    disk = BlockDevice(
        "/dev/sda", "disk", "/dev/sda", 64_000_000_000, transport="sata", model="SSD"
    )
    assert refused("/dev/sda", disk) == (
        "/dev/sda (SSD, sata, 64.0 GB) is built in, no card: if it is what you mean, "
        "--data any_disk=true"
    )
    assert card_choice.disk_target([disk], "/dev/sda", any_disk=True).path == "/dev/sda"


def test_a_disk_for_backups_is_refused_unless_it_is_meant() -> None:
    large = replace(CARD, size=4_000_787_030_016)
    assert refused("/dev/sdb", large) == (
        "/dev/sdb (Generic Reader, USB, 4.0 TB) is larger than cards are: if it is what you mean, "
        "--data any_disk=true"
    )
    assert card_choice.disk_target([large], "/dev/sdb", any_disk=True).size == large.size


def test_a_card_that_is_too_small_is_refused() -> None:
    target = Target("/dev/sdb", 2_000_000_000, disk=True)
    with pytest.raises(HostFailure) as reason:
        card_choice.fits(target, 3_061_841_920)
    assert str(reason.value) == (
        "/dev/sdb has 2.0 GB, and the image needs 3.1 GB: take a larger card"
    )
    card_choice.fits(target, 2_000_000_000)


def test_without_lsblk_no_disk_is_written() -> None:
    with pytest.raises(HostFailure, match="no lsblk here to tell disks by") as reason:
        card_choice.disk_target([], "/dev/disk4", any_disk=True)
    assert "--data file=node1.img" in str(reason.value)
