"""The way in: SSH by key, sudo, and who else may come."""

from __future__ import annotations

from typing import Any

import settings
from settings import Cluster, Node
from tests.cluster.connections import Connections
from tests.cluster.words import deploy, wrong


def test_answers(node: Node, connections: Connections) -> None:
    """SSH by key, and sudo"""
    if node.name in connections.problems:
        raise connections.problems[node.name]


def test_authorized_keys(node: Node, cluster: Cluster, host: Any) -> None:
    """authorized_keys"""
    home = host.user(node.admin_user).home
    for path, modes in (
        (f"{home}/.ssh", {0o700}),
        (f"{home}/.ssh/authorized_keys", {0o600, 0o640}),
    ):
        file = host.file(path)
        if file.mode not in modes or file.user != node.admin_user:
            wrong(
                f"{path} is {file.user}'s with mode {file.mode:o}; it should be "
                f"{node.admin_user}'s with {min(modes):o}",
                deploy("ssh_access"),
            )
    key = settings.operator_public_key(cluster).split()[1]
    if key not in host.file(f"{home}/.ssh/authorized_keys").content_string.split():
        wrong("your key is not in authorized_keys", deploy("ssh_access"))
