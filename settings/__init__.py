"""
The settings of the cluster: read from inventory.py and group_data/, and checked as a whole.

    cluster = settings.load()         # from the files in the working directory
    cluster = settings.of(inventory)  # in a deploy: ``--data`` included
    cluster.default_gateway(cluster.node("node2"))

``SettingsError`` holds all mistakes.
"""

from __future__ import annotations

from pathlib import Path

from settings import overrides, sources
from settings.build import build as _build
from settings.known_hosts import changed_key
from settings.model import Cluster, Node
from settings.problems import Problem, SettingsError
from settings.run import (
    check_files,
    is_whole,
    of,
    options,
    prepare,
    requested_removal,
    restored,
)
from settings.ssh_keys import host_key, operator_key, operator_public_key

__all__ = [
    "Cluster",
    "Node",
    "Problem",
    "SettingsError",
    "changed_key",
    "check_files",
    "host_key",
    "is_whole",
    "load",
    "of",
    "operator_key",
    "operator_public_key",
    "options",
    "prepare",
    "requested_removal",
    "restored",
    "target",
]


def target(cluster: Cluster) -> str:
    """Write the line that names the nodes that a command acts on."""
    name = overrides.target() or f"cluster {cluster.kube_context} ({{nodes}})"
    return f"Target: {name.replace('{nodes}', ', '.join(node.name for node in cluster.nodes))}"


def load(project: Path | None = None) -> Cluster:
    """
    Read the cluster from the files.

    + project: the folder of the inventory and group_data/; None: the working directory
    + raises ``SettingsError``
    """
    return _build(sources.read(project or Path.cwd(), "inventory.py", {}))
