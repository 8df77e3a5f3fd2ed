"""SD cards and downloads."""

from __future__ import annotations

from messages import Message

_ANY_DISK = "If it is the disk you mean, add --data any_disk=true."

WRITE_PROTECTED = Message("""SDC001
    {disk} is write-protected
    Remedy: Move the lock switch on the side of the SD card's adapter.""")
NO_CARD = Message("""SDC002
    {path} is a card reader without a card
    Remedy: Insert the card as far as it goes, or try another reader.""")
NOT_REMOVABLE = Message(f"""SDC003
    {{disk}} is built into this computer and is not an SD card
    Remedy: {_ANY_DISK}
    Meaning: A disk of this computer, or a reader that looks like one. `lsblk` before and after the
    card is inserted shows which device it is.""")
TOO_LARGE = Message(f"""SDC004
    {{disk}} is larger than SD cards are
    Remedy: {_ANY_DISK}
    Meaning: Disks above 550 GB often hold backups, so they are written only on request.""")
TOO_SMALL = Message("""SDC005
    {path} has {size}, and the image needs {needed}
    Remedy: Use a larger card.
    Meaning: The last partition of the image would end behind the end of the card.""")
NO_LSBLK = Message("""SDC006
    this computer has no lsblk, so disks cannot be told apart
    Remedy: Make an image file with --data file=node1.img and write it with another tool, as
    docs/parts-and-cards.md shows.
    Meaning: Cards are written on Linux only. On macOS, make an image file.""")
NOT_A_WHOLE_DISK = Message("""SDC007
    {path} is {kind}
    Remedy: Name the whole disk: {disk}.
    Meaning: A card is written from its first block on, so the disk is named, not a partition of it:
    `/dev/sdb` instead of `/dev/sdb1`.""")
NO_SUCH_DISK = Message("""SDC008
    {path} {problem}
    Remedy: Name the device of your card; {cards}.""")
SYSTEM_DISK = Message("""SDC009
    {path} is the disk that this system runs from ({mount} is on it)
    Remedy: Name the device of your card: lsblk shows it once the card is inserted.
    Meaning: The disk is never written, whatever else is asked for. `lsblk` before and after the
    card is inserted shows which device it is.""")
MOUNTED = Message("""SDC010
    {partition} is mounted at {mount}
    Remedy: Run `sudo umount {partition}`, then run the same command again.
    Meaning: Most desktops mount a card when it is inserted.""")
DISK_IN_USE = Message("""SDC011
    {path} is in use by {user} ({kind})
    Remedy: Deactivate {user}, then run the same command again.
    Meaning: An LVM volume, a RAID array or an encrypted disk is made of it.""")
DISK_CHANGED = Message("""SDC012
    {path} is not the disk that was shown
    Remedy: Run the same command again, and read what it shows.
    Meaning: Another card was inserted, or something on it was mounted, while a question was
    open.""")
WRONG_CHECKSUM = Message("""SDC013
    {source} has the checksum {found}, expected {expected}
    Remedy: Fetch the file again, or correct its address or checksum in group_data/all.py
    (image_checksum, flannel_checksum).
    Meaning: The file is cut short, or it is another version than the settings name. Nothing of it
    is used.""")
REPLACED_IMAGE = Message("""SDC014
    {source} has the checksum {found}, expected {expected}, which its publisher gave earlier
    Remedy: If the publisher has replaced the image, remove {place} and run the same command again;
    else download the image again.
    Meaning: The first checksum that a publisher gives is kept, and images are compared with it.
    Look at the publisher's page for a reason before you remove it.""")
VERIFICATION_FAILED = Message("""SDC015
    verification of {path} failed: {what} reads back different from what was written
    Remedy: Use another card, or try another reader.
    Meaning: The card is worn out or counterfeit (some claim to be larger than they are), or the
    reader is broken.""")
NOT_BOOTABLE = Message("""SDC016
    {image} is not an image for a Raspberry Pi: {reason}
    Remedy: Set image = "raspios" in group_data/all.py.
    Meaning: An image for other boards, an installer, or not a disk image. It must have a FAT
    partition with cmdline.txt.""")
IMAGE_CUT_SHORT = Message("""SDC017
    {image} ends before its last partition does
    Remedy: Download the image again.""")
NOT_UNPACKED = Message("""SDC018
    {image} cannot be unpacked: {reason}
    Remedy: Download the image again.
    Meaning: The file is cut short or damaged. Images may be .img, or that as .xz, .gz, .zst or
    .zip.""")
NOT_ONE_IMAGE = Message("""SDC019
    {image} holds {count} files named *.img, expected one
    Remedy: Set image in group_data/all.py to the .img file itself.
    Meaning: An archive with several images, or with none, does not say which is meant.""")
BAD_COMMAND_LINE = Message("""SDC020
    cmdline.txt of the image cannot be used: {reason}
    Remedy: Correct cmdline.txt on the image, or use another image.
    Meaning: The kernel's command line is one line that is not empty, with each quotation
    closed.""")
BOOT_FILES = Message("""SDC021
    the files for the first boot cannot be made: {reason}
    Meaning: The settings name a file of this computer, such as a key, that cannot be used.""")
BOOT_PARTITION = Message("""SDC022
    {name} on the boot partition of {path} cannot be {done}: {reason}
    Remedy: Use another card, or another image.
    Meaning: mtools, which reads and writes the FAT boot partition, reports the reason.""")
NO_MTOOLS = Message("""SDC023
    mtools is not installed on this computer
    Remedy: Run `sudo apt-get install mtools` (macOS: `brew install mtools`).
    Meaning: mtools writes the files of the boot partition, so that nothing has to be mounted.""")
NO_SUDO = Message("""SDC024
    {path} belongs to root, and this computer has no sudo
    Remedy: Run this as root.
    Meaning: Only reading and writing the disk needs root; sudo is used for that alone.""")
NOT_CONFIRMED = Message("""SDC025
    the answer was not yes, so nothing was written
    Remedy: Run the same command again, and type yes.
    Meaning: Anything but `yes` leaves the card as it is.""")
NO_TERMINAL = Message("""SDC026
    stdin is not a terminal, so nobody can confirm that the disk is overwritten
    Remedy: Add --data yes=true.
    Meaning: Without that, a disk is written only after somebody has typed `yes`.""")
FOREIGN_FILE = Message("""SDC027
    {path} exists, and was not made by bramble
    Remedy: Remove it, or name another file.
    Meaning: No file of yours is overwritten.""")
FILE_IS_DEVICE = Message("""SDC028
    {path} is a device
    Remedy: Write --data device={path} instead of --data file={path}.
    Meaning: A disk is written with other checks than an image file.""")
NOT_A_FILE = Message("""SDC029
    {path} is not a regular file
    Remedy: Name a file, such as node1.img.""")
NO_FOLDER = Message("""SDC030
    the folder {folder} does not exist
    Remedy: Make it with `mkdir`, or name another file.""")
NOT_LOCAL = Message("""SDC031
    SD cards are written on your own computer only
    Remedy: Run `pyinfra @local deploys/sdcard.py --data node=node1 --data device=/dev/sdX`.""")
DISK_BUSY = Message("""SDC032
    {path} is in use
    Remedy: Unmount what is on it, then run the same command again.
    Meaning: The kernel gives a disk to one program alone for writing. Something on it was
    mounted after the checks.""")
DISK_BROKEN = Message("""SDC033
    {path}: input/output error
    Remedy: Insert the card again, or try another reader, then another card.
    Meaning: The card or its reader is broken, or the card was pulled out.""")
DISK_FULL = Message("""SDC034
    {path} ends before the image does
    Remedy: Use another card, or free space on the disk that the image file is written to.
    Meaning: A counterfeit card claims to be larger than it is; an image file has filled its
    disk.""")
DISK_ERROR = Message("""SDC035
    {path} cannot be read or written: {reason}""")
LOCAL_FILE = Message("""SDC036
    {path} cannot be read: {reason}
    Remedy: Correct its path in the settings, or make it readable for you.""")
DOWNLOAD_FAILED = Message("""SDC037
    {url} cannot be downloaded: {reason}
    Remedy: Check the address and this computer's internet access, then run the same command again.
    Meaning: What was downloaded before a break is kept, and the next run continues from there.""")
DOWNLOAD_NOT_WRITTEN = Message("""SDC038
    {path} cannot be written: {reason}
    Remedy: Free space on this computer's disk, or make the folder writable.
    Meaning: Downloads are kept in `.cluster/downloads`.""")
DOWNLOAD_RUNNING = Message("""SDC039
    another run is downloading {path}
    Remedy: Wait until that run has ended, then run the same command again.
    Meaning: Two runs on this computer want the same file at the same time.""")
DOWNLOAD_TOO_LARGE = Message("""SDC040
    {url} is larger than {limit}
    Remedy: Correct the address in group_data/all.py.
    Meaning: The address leads to another file than a Kubernetes manifest.""")
NOT_TEXT = Message("""SDC041
    {url} is not text
    Remedy: Correct the address in group_data/all.py.""")
NO_CHECKSUM = Message("""SDC042
    {url} holds no SHA-256 checksum
    Remedy: Correct image_checksum in group_data/all.py.
    Meaning: A publisher's checksum file begins with 64 hexadecimal digits.""")
KEPT_NO_CHECKSUM = Message("""SDC043
    {place} holds no SHA-256 checksum
    Remedy: Remove that file, then run the same command again: the checksum is downloaded again.
    Meaning: The copy of a publisher's checksum was damaged.""")
NOT_RECORDED = Message("""SDC044
    {path} is written, but its host key cannot be recorded on this computer: {reason}
    Remedy: Free space on this computer's disk, then run the same command again.
    Meaning: `.cluster/known_hosts` gets the host key that the node will show at its first boot.""")

# Why all of a card is written; each follows "Will write all of it:".
NOT_COMPLETE = Message("""SDC045
    it was not written completely (as the card of {node})
    Meaning: An earlier run was interrupted, or the card was pulled out.""")
NO_PARTITION_TABLE = Message("""SDC046
    it has no partition table of an image
    Meaning: The card is blank, or holds files of a camera or a computer.""")
NOT_BY_BRAMBLE = Message("""SDC047
    it was not written by bramble
    Meaning: The card has an image, and its boot partition lacks bramble.json.""")
CARD_RECORD_DAMAGED = Message("""SDC048
    its {name} is damaged
    Meaning: bramble wrote this card, and what it noted there cannot be read any more.""")
OTHER_NODE = Message("""SDC049
    it is the card of {node}, written on {written}
    Meaning: The cards of two nodes may have been mixed up: look before you confirm.""")
OTHER_IMAGE = Message("""SDC050
    its image is {image}, written on {written}
    Meaning: The settings name another image than the one on the card.""")
BOOTED = Message("""SDC051
    its partition table has changed: a board has booted from it
    Meaning: A first boot enlarges the last partition. The board's system and data are on this
    card.""")
BLOCKS_CHANGED = Message("""SDC052
    its blocks have changed: a board has booted from it, or it is worn out
    Meaning: The card does not hold the image any more. Use another card if no board has booted from
    this one.""")
