"""The options of ``deploys/remove.py``: the node, and what else is removed from it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from messages import settings as messages
from settings.model import Cluster, Node
from settings.problems import Problem, SettingsError

_PURGE = "purge"


@dataclass(frozen=True)
class Removal:
    """
    A node that is to leave the cluster.

    + purge: whether the Kubernetes packages and bramble's files go too
    + yes: the node's name, given as the answer to the question; None: nobody has answered
    + line: where the inventory has it, and the line; "" if it was not found
    """

    node: Node
    purge: bool
    yes: str | None
    line: str


def requested(cluster: Cluster, options: Mapping[str, str], inventory: str) -> Removal:
    """
    Read the options.

    + options: what ``--data`` gives to the deploy
    + inventory: the inventory file, which has the node
    + raises ``SettingsError``
    """
    name, packages = options.get("node"), options.get("packages")
    problems = []
    if packages not in (None, _PURGE):
        said = messages.WRONG_OPTION(value=repr(packages), instead=f"packages={_PURGE}")
        problems.append(Problem("--data", said, setting="packages"))
    node = None
    if not name:
        names = ", ".join(each.name for each in cluster.nodes)
        problems.append(Problem("--data", messages.NO_NODE_TO_REMOVE(nodes=names), setting="node"))
    else:
        try:
            node = cluster.node(name)
        except KeyError as error:
            problems.append(Problem("--data", error.args[0], setting="node"))
    if node is not None and cluster.control_plane == (node,):
        said = messages.LAST_CONTROL_PLANE(node=node.name)
        problems.append(Problem("--data", said, setting="node"))
    if problems or node is None:
        raise SettingsError(problems)
    line = _line(cluster.project / inventory, node.name)
    return Removal(node, packages == _PURGE, options.get("yes"), line)


def _line(inventory: Path, node: str) -> str:
    """Return the line of the inventory that has a node, as ``FILE line N: TEXT``."""
    text = inventory.read_text(encoding="utf-8")
    places = [
        each.lineno
        for each in ast.walk(ast.parse(text))
        if isinstance(each, ast.Constant) and each.value == node
    ]
    if not places:
        return ""
    return f"{inventory.name} line {places[0]}: {text.splitlines()[places[0] - 1].strip()}"
