"""The way in: SSH by key, sudo, and who else may come."""

from __future__ import annotations

import re
from typing import Any

import pytest

import settings
from formats import authorized_keys
from settings import Cluster, Node
from tests.cluster.connections import Connections
from tests.cluster.words import deploy, listed, said, wrong

# What a stranger hears who comes without a key: "…: Permission denied (publickey,password)."
COME_WITHOUT_KEY = (
    "ssh -F none -o BatchMode=yes -o PreferredAuthentications=none -o LogLevel=ERROR "
    "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null %s@%s || :"
)
# As sshd will have it when it starts again, with what the configuration says of that user alone.
CONFIGURED = "/usr/sbin/sshd -T -C user=%s,host=%s,addr=%s"
BY_PASSWORD = {
    "password": "passwordauthentication",
    "keyboard-interactive": "kbdinteractiveauthentication",
}


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
    mine = authorized_keys.key(settings.operator_public_key(cluster))
    lines = authorized_keys.parse(host.file(f"{home}/.ssh/authorized_keys").content_string)
    if mine.same not in [line.key.same for line in lines if line.key]:
        wrong("your key is in no line of authorized_keys that sshd accepts", deploy("ssh_access"))


def test_passwords(node: Node, cluster: Cluster, host: Any) -> None:
    """passwords over SSH, as set"""
    if cluster.password_login is None:
        pytest.skip("`password_login` leaves passwords over SSH as the image has them")
    user, address = node.admin_user, str(node.address)
    done = host.run(COME_WITHOUT_KEY, user, address)
    heard = re.search(r"Permission denied \(([\w,-]+)\)", done.stderr)
    if heard is None:
        wrong(f"sshd does not say what it takes: {said(done)}", "try again in a minute")
    offered = set(heard[1].split(","))
    lines = host.check_output(CONFIGURED, user, node.name, address).splitlines()
    configured = {name for name, option in BY_PASSWORD.items() if f"{option} yes" in lines}
    for when, found in (("now", offered & BY_PASSWORD.keys()), ("at its next start", configured)):
        if bool(found) != cluster.password_login:
            takes = f"takes {listed(sorted(found))}" if found else "takes keys only"
            wrong(f"sshd {takes} {when}; password_login says otherwise", deploy("ssh_access"))
