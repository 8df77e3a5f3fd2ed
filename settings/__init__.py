"""The settings of the cluster: read from inventory.py and group_data/, checked as a whole, and
what follows from them.

    cluster = settings.load()         # from the files in the working directory
    cluster = settings.of(inventory)  # from pyinfra's inventory, `--data` included
    cluster.gateway(cluster.node("node2"))

Every mistake is reported at once, by `SettingsError`.
"""

from __future__ import annotations

import os
from pathlib import Path
from weakref import WeakKeyDictionary

from settings import known, overrides, sources, ssh
from settings.build import build as _build
from settings.errors import Problem, SettingsError
from settings.keys import host_key, operator_key, operator_public_key
from settings.known import changed_key_remedy
from settings.model import Cluster, Node

__all__ = [
    "Cluster",
    "Node",
    "Problem",
    "SettingsError",
    "changed_key_remedy",
    "check_files",
    "host_key",
    "load",
    "of",
    "operator_key",
    "operator_public_key",
    "prepare",
    "whose",
]

_made: WeakKeyDictionary[sources.PyinfraInventory, dict[Path, Cluster]] = WeakKeyDictionary()


def check_files(inventory: str) -> None:
    """Check that the inventory and group_data/ are Python that runs, before pyinfra runs them.

    Ends the program with the mistakes as its message, and status 1.
    """
    try:
        sources.of_desk(Path.cwd(), inventory, overrides.given())
    except SettingsError as error:
        raise SystemExit(str(error)) from None


def whose(cluster: Cluster) -> str:
    """Which nodes a command is about, in words: a desk's, or a lab's that has started it."""
    names = ", ".join(node.name for node in cluster.nodes)
    lab = os.environ.get("BRAMBLE_LAB")
    return (
        f"The virtual nodes of the lab {lab}: {names}" if lab else f"The nodes on the desk: {names}"
    )


def load(desk: Path | None = None, inventory: str = "inventory.py") -> Cluster:
    """The cluster that the desk's files describe.

    + desk: the folder of the inventory and group_data/; the working directory when None
    + inventory: the inventory file's name in it

    Raises `SettingsError`.
    """
    return _build(sources.of_desk(desk or Path.cwd(), inventory, {}))


def of(inventory: sources.PyinfraInventory, desk: Path | None = None) -> Cluster:
    """The cluster that pyinfra's inventory describes, with what `--data` overrides: made once for
    an inventory, however many hosts and deploys ask.

    Raises `SettingsError`.
    """
    # pyinfra's `inventory` stands for the one of the run at hand.
    itself: sources.PyinfraInventory = getattr(inventory.get_data, "__self__", inventory)
    made = _made.setdefault(itself, {})
    where = desk or Path.cwd()
    if where not in made:
        made[where] = _build(sources.of_inventory(itself, where))
    return made[where]


def prepare(inventory: str) -> None:
    """Check all settings and ready .cluster/, before pyinfra's first connection. Called by the
    inventory file, with its `__file__`.

    Ends the program with the mistakes as its message, and status 1. Does nothing while `load` reads
    the file.
    """
    if sources.reading.get():
        return
    try:
        overrides.check_deploys()
        cluster = _build(sources.of_desk(Path.cwd(), inventory, overrides.given()))
        overrides.check_limits(cluster)
        known.unite(cluster)
        ssh.write_config(cluster)
    except SettingsError as error:
        raise SystemExit(str(error)) from None
    except OSError as error:
        raise SystemExit(f"{error.filename}: {error.strerror}: chmod or move it") from None
