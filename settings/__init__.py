"""
The settings of the cluster: read from inventory.py and group_data/, and checked as a whole.

    cluster = settings.load()         # from the files in the working directory
    cluster = settings.of(inventory)  # in a deploy: ``--data`` included
    cluster.default_gateway(cluster.node("node2"))

``SettingsError`` holds all mistakes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from messages import settings as messages
from settings import known_hosts, overrides, sources, ssh_config
from settings.build import build as _build
from settings.known_hosts import changed_key
from settings.model import Cluster, Node
from settings.problems import Problem, SettingsError
from settings.ssh_keys import host_key, operator_key, operator_public_key

__all__ = [
    "Cluster",
    "Node",
    "Problem",
    "SettingsError",
    "changed_key",
    "check_files",
    "host_key",
    "load",
    "of",
    "operator_key",
    "operator_public_key",
    "prepare",
    "target",
]


class PyinfraInventory(Protocol):
    """The part of ``pyinfra.api.Inventory`` that is used here."""

    def get_data(self) -> Mapping[str, Any]: ...
    def get_override_data(self) -> Mapping[str, Any]: ...


_made: WeakKeyDictionary[PyinfraInventory, dict[Path, Cluster]] = WeakKeyDictionary()
_files: dict[Path, str] = {}  # the inventory file of each folder, as pyinfra was given it


def check_files(inventory: str) -> None:
    """
    Check that the inventory and group_data/ are Python that runs, before pyinfra runs them.

    Mistakes end the program with their messages and exit status 1.
    """
    try:
        sources.read(Path.cwd(), inventory, overrides.given())
    except SettingsError as error:
        raise SystemExit(str(error)) from None


def target(cluster: Cluster) -> str:
    """Write the line that names the nodes that a command acts on."""
    name = overrides.target() or f"cluster {cluster.kube_context} ({{nodes}})"
    return f"Target: {name.replace('{nodes}', ', '.join(node.name for node in cluster.nodes))}"


def load(project: Path | None = None, inventory: str = "inventory.py") -> Cluster:
    """
    Read the cluster from the files.

    + project: the folder of the inventory and group_data/; None: the working directory
    + inventory: the inventory file's name in it
    + raises ``SettingsError``
    """
    return _build(sources.read(project or Path.cwd(), inventory, {}))


def of(inventory: PyinfraInventory, project: Path | None = None) -> Cluster:
    """
    Read the cluster of a pyinfra run: that of the files, with what ``--data`` overrides.

    It is built once for each inventory.

    + inventory: pyinfra's
    + project: as for ``load``
    + raises ``SettingsError``
    """
    # pyinfra's ``inventory`` is a proxy for that of the current run.
    itself: PyinfraInventory = getattr(inventory.get_data, "__self__", inventory)
    made, where = _made.setdefault(itself, {}), project or Path.cwd()
    if where not in made:
        # pyinfra's own options (--ssh-user …) are among its overrides: they are no settings.
        override = {
            name: value
            for name, value in itself.get_override_data().items()
            if not name.startswith("ssh_")
        }
        made[where] = _build(
            sources.read(where, _files.get(where, "inventory.py"), override | overrides.given())
        )
    return made[where]


def prepare(inventory: str) -> None:
    """
    Check all settings and make .cluster/ ready before pyinfra's first connection.

    Mistakes end the program with their messages and exit status 1. Nothing happens while ``load``
    reads the inventory file.

    + inventory: the inventory file, which calls this with its ``__file__``
    """
    if sources.reading.get():
        return
    _files[Path.cwd()] = inventory
    try:
        overrides.check_deploys()
        cluster = _build(sources.read(Path.cwd(), inventory, overrides.given()))
        overrides.check_limits(cluster)
        _check_supported(cluster, inventory)
        known_hosts.unite(cluster)
        ssh_config.write(cluster)
    except SettingsError as error:
        raise SystemExit(str(error)) from None
    except OSError as error:
        raise SystemExit(
            messages.FOLDER_UNUSABLE(path=error.filename, reason=error.strerror)
        ) from None


def _check_supported(cluster: Cluster, inventory: str) -> None:
    """Raise `SettingsError` for what the settings can describe and no deploy can make yet."""
    names = [node.name for node in cluster.control_plane]
    if len(names) > 1:
        said = messages.CONTROL_PLANE_SEVERAL(
            count=len(names), nodes=", ".join(names), first=names[0]
        )
        raise SettingsError([Problem(Path(inventory).name, said)])
