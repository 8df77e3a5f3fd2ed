"""SSH access: the key, sudo, and password logins."""

from __future__ import annotations

import re
from typing import Any

import pytest

import settings
from formats import authorized_keys
from messages import verify as messages
from settings import Cluster, Node
from tests.cluster.connections import Connections
from tests.cluster.findings import deploy, last_line, listed, wrong

# sshd answers a client without a key: "…: Permission denied (publickey,password)."
COME_WITHOUT_KEY = (
    "ssh -F none -o BatchMode=yes -o PreferredAuthentications=none -o LogLevel=ERROR "
    "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null %s@%s || :"
)
# The configuration for that user, as sshd will read it at its next start.
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
                messages.AUTHORIZED_KEYS_MODE(
                    path=path,
                    owner=file.user,
                    mode=f"{file.mode:o}",
                    user=node.admin_user,
                    expected=f"{min(modes):o}",
                    deploy=deploy("ssh_access"),
                )
            )
    mine = authorized_keys.key(settings.operator_public_key(cluster))
    lines = authorized_keys.parse(host.file(f"{home}/.ssh/authorized_keys").content_string)
    if mine.same not in [line.key.same for line in lines if line.key]:
        wrong(messages.KEY_MISSING(deploy=deploy("ssh_access")))


def test_passwords(node: Node, cluster: Cluster, host: Any) -> None:
    """SSH password logins"""
    if cluster.password_login is None:
        pytest.skip("password_login = None leaves them as the image has them")
    user, address = node.admin_user, str(node.address)
    done = host.run(COME_WITHOUT_KEY, user, address)
    heard = re.search(r"Permission denied \(([\w,-]+)\)", done.stderr)
    if heard is None:
        wrong(messages.LOGIN_METHODS_UNKNOWN(reason=last_line(done)))
    offered = set(heard[1].split(","))
    lines = host.check_output(CONFIGURED, user, node.name, address).splitlines()
    configured = {name for name, option in BY_PASSWORD.items() if f"{option} yes" in lines}
    for when, found in (("now", offered & BY_PASSWORD.keys()), ("at its next start", configured)):
        if bool(found) != cluster.password_login:
            accepts = f"accepts {listed(sorted(found))}" if found else "accepts only keys"
            step = deploy("ssh_access")
            wrong(messages.PASSWORD_LOGIN(accepts=accepts, when=when, deploy=step))
