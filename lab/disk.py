"""
A node's disk like a freshly flashed card: the common root file system, and a boot partition.

The boot partition's files are the project's (`first_boot.boot_files`), the same that a real card
gets, or those of a card's image. The lab adds the apt proxy, a machine-id, and `additions`, and
configures wlan0 as a cable.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from formats import partition_table
from lab import host
from lab.errors import LabError
from lab.plan import NodePlan, Plan, state_directory
from lab.services import PROXY_PORT
from messages import lab as messages

# Keys of a netplan stanza that only Wi-Fi has.
RADIO_ONLY = ("access-points", "regulatory-domain", "wakeonwlan")
# cloud-init's files; the firmware's own are of no use to a virtual board.
SEED_FILES = ("user-data", "meta-data", "network-config")


def directory(lab: str, node: str) -> Path:
    """The directory of a node: overlay layers, and the directories that are no overlay."""
    return state_directory(lab) / "nodes" / node


def boot_partition(lab: str, node: str) -> Path:
    """The node's boot partition: its /boot/firmware."""
    return directory(lab, node) / "firmware"


def additions(lab: str) -> Path:
    """The additional files of every card of this lab, laid out as on the card."""
    return state_directory(lab) / "card"


def add_to_cards(lab: str, files: Mapping[str, str]) -> None:
    """
    Set the additional files of all cards that are written from now on.

    + files: path without the leading slash: text
    """
    shutil.rmtree(additions(lab), ignore_errors=True)
    for name, text in files.items():
        _write(additions(lab) / name, text, 0o644)


def without_wifi(network_config: str) -> str:
    """
    Return a network-config whose Wi-Fi interfaces are cables, as the lab's wlan0 is.

    Only the keys of Wi-Fi are removed.
    """
    document: dict[str, Any] = yaml.safe_load(network_config) or {}
    config = document.get("network", document)
    if "wifis" not in config:
        return network_config
    for name, stanza in config.pop("wifis", {}).items():
        cable = {key: value for key, value in stanza.items() if key not in RADIO_ONLY}
        config.setdefault("ethernets", {})[name] = cable
    return yaml.safe_dump(document, sort_keys=False)


def is_there(lab: str, node: str) -> bool:
    """Whether the node has a disk."""
    return (directory(lab, node) / "upper").is_dir()


def wipe(lab: str, node: str) -> None:
    """Remove the disk; the node must be off."""
    shutil.rmtree(directory(lab, node), ignore_errors=True)


def flash(plan: Plan, node: NodePlan, files: Mapping[str, str]) -> None:
    """
    Make the node's disk again; the node must be off.

    + files: of the boot partition: user-data, meta-data and network-config
    """
    wipe(plan.name, node.name)
    folder = directory(plan.name, node.name)
    for name in ("work", "merged", "containerd", "firmware"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o700)  # the card has keys, which everybody could read on it
    for name, text in files.items():
        text = without_wifi(text) if name == "network-config" else text
        # As on a real board: FAT knows no owners.
        _write(boot_partition(plan.name, node.name) / name, text, 0o755)
    # Renamed when it is complete: a disk that is there is a whole one.
    upper = folder / "upper.partial"
    _write(upper / "etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444)
    _write(
        upper / "etc/apt/apt.conf.d/90lab-proxy",
        "// The caching proxy of the lab's lan; what the router itself serves needs no cache.\n"
        f'Acquire::http::Proxy "http://{plan.router}:{PROXY_PORT}";\n'
        f'Acquire::http::Proxy::{plan.router} "DIRECT";\n',
        0o644,
    )
    if additions(plan.name).is_dir():
        shutil.copytree(additions(plan.name), upper, dirs_exist_ok=True)
    upper.rename(folder / "upper")


def _write(file: Path, text: str, mode: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)


def boot_files_of(image: Path) -> dict[str, str]:
    """
    Read cloud-init's files from an image's boot partition: text by name.

    + image: a card's image, as `deploys/sdcard.py` writes it
    """
    try:
        with image.open("rb") as opened:
            partitions = partition_table.parse(opened.read(partition_table.LENGTH))
        start = partition_table.boot_partition(partitions).start
    except (OSError, ValueError) as error:
        raise LabError(messages.CARD(image=image, reason=error)) from None
    with tempfile.TemporaryDirectory() as folder:
        for name in SEED_FILES:
            # One may be missing: HypriotOS has no network-config.
            host.run(["mcopy", "-n", "-i", f"{image}@@{start}", f"::{name}", folder], check=False)
        files = {file.name: file.read_text() for file in Path(folder).iterdir()}
    if "user-data" not in files:
        reason = "it has no user-data"
        raise LabError(messages.CARD(image=image, reason=reason))
    return files
