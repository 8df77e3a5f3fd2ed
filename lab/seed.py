"""
A node's disk as it comes from the flasher: the common root file system, and a boot partition.

The boot partition's files are the project's (`first_boot.boot_files`), the same that a real card
gets, or those of a card's image. What the lab adds is named here: the apt proxy, a machine-id,
wlan0's disguise, and `additions`.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.plan import NodePlan, Plan, state_directory
from lab.services import PROXY_PORT

# What only a radio understands, in a netplan stanza.
RADIO_ONLY = ("access-points", "regulatory-domain", "wakeonwlan")


def disk(lab: str, node: str) -> Path:
    """The node's own directory: overlay layers, and the directories that are no overlay."""
    return state_directory(lab) / "nodes" / node


def boot_partition(lab: str, node: str) -> Path:
    """The node's boot partition: a folder here, /boot/firmware there."""
    return disk(lab, node) / "firmware"


def additions(lab: str) -> Path:
    """The files that every card of this lab gets besides, laid out as on the card."""
    return state_directory(lab) / "card"


def add_to_cards(lab: str, files: Mapping[str, str]) -> None:
    """
    From now on every card that is written gets these files, and no others of an earlier call.

    + files: path without the leading slash: text
    """
    shutil.rmtree(additions(lab), ignore_errors=True)
    for name, text in files.items():
        _write(additions(lab) / name, text, 0o644)


def disguise(network_config: str) -> str:
    """
    The network-config with its Wi-Fi interfaces described as cables: the lab's wlan0 is one.

    Addresses, DHCP, routes and names stay as they are; only the radio's own lines go.
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
    """Whether the node has a disk already."""
    return (disk(lab, node) / "upper").is_dir()


def wipe(lab: str, node: str) -> None:
    """Take the disk away; the node must be off."""
    shutil.rmtree(disk(lab, node), ignore_errors=True)


def flash(plan: Plan, node: NodePlan, files: Mapping[str, str]) -> None:
    """
    Make the node's disk anew; the node must be off.

    + files: of the boot partition: user-data, meta-data and network-config
    """
    wipe(plan.name, node.name)
    folder = disk(plan.name, node.name)
    for name in ("work", "merged", "containerd", "firmware"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o700)  # the card holds keys, and on it everybody can read them
    for name, text in files.items():
        text = disguise(text) if name == "network-config" else text
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
