"""Options that name a node which leaves the cluster: removed, or replaced by another machine."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from messages import Said
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
    + lines: where the inventory has it and the control planes, and the line; by the node's name;
      not the gateway's
    """

    node: Node
    purge: bool
    yes: str | None
    lines: Mapping[str, str]


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
    if node is not None and (reason := _indispensable(cluster, node)):
        problems.append(Problem("--data", reason, setting="node"))
    if problems or node is None:
        raise SettingsError(problems)
    path = cluster.project / inventory
    # The gateway stays there, whether it is in the cluster or not: the others need it.
    leaving = [each for each in (node, *cluster.control_plane) if not cluster.is_gateway(each)]
    lines = {each.name: _line(path, each.name) for each in leaving}
    return Removal(node, packages == _PURGE, options.get("yes"), lines)


def check_replaced(cluster: Cluster, options: Mapping[str, str]) -> None:
    """Raise ``SettingsError`` if the node that is to be replaced is the only control plane."""
    if (name := options.get("replace")) is None:
        return
    try:
        node = cluster.node(name)
    except KeyError as error:
        raise SettingsError([Problem("--data", error.args[0], setting="replace")]) from None
    if cluster.control_plane == (node,):
        said = messages.NOT_REPLACEABLE(node=name)
        raise SettingsError([Problem("--data", said, setting="replace")])


def check_restored(cluster: Cluster, options: Mapping[str, str]) -> None:
    """Raise ``SettingsError`` if the node that is to be restored is no control plane."""
    planes = [node.name for node in cluster.control_plane]
    if (name := options.get("node", planes[0])) not in planes:
        said = messages.NOT_RESTORABLE(node=name, control_planes=" or ".join(planes))
        raise SettingsError([Problem("--data", said, setting="node")])


def _indispensable(cluster: Cluster, node: Node) -> Said | None:
    """Return why a control plane has to stay; None: it may be removed."""
    if cluster.control_plane == (node,):
        return messages.LAST_CONTROL_PLANE(node=node.name)
    if node.role == "control_plane" and cluster.is_gateway(node):
        others = " or ".join(each.name for each in cluster.control_plane if each != node)
        return messages.GATEWAY_STAYS(node=node.name, others=others)
    return None


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
