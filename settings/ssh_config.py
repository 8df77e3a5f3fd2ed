"""How the nodes are reached: .cluster/ssh_config, for pyinfra and `ssh -F` alike."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address
from pathlib import Path

from formats import ssh_config as ssh_config_format
from messages import settings as messages
from settings import known_hosts, ssh_keys
from settings.cluster_folder import folder
from settings.cluster_folder import write as write_private
from settings.model import Cluster, Node
from settings.problems import Problem, SettingsError

_PORT = 22
_CONNECT = 8  # seconds that a connection may take
_PROBE = 1  # seconds that a node has to answer at one of its two addresses
_PROBE_BEHIND = 4  # the same for a node behind the gateway


def write(cluster: Cluster) -> Path:
    """
    Write .cluster/ssh_config, after asking each node with a first_address where it answers.

    + raises ``SettingsError``: the file can't hold the path of the folder or of the key
    """
    path = folder(cluster.project) / "ssh_config"
    _check_path(cluster.project.absolute())
    _check_path(ssh_keys.operator_key(cluster))
    answering: dict[str, IPv4Address] = {}
    # The gateway's address must be known before the others are asked through it.
    for behind in (False, True):
        moving = [
            node
            for node in cluster.nodes
            if node.first_address and behind is bool(cluster.gateway_of(node))
        ]
        if not moving:
            continue
        if behind:
            write_private(path, config(cluster, answering))
        with ThreadPoolExecutor(len(moving)) as pool:
            found = pool.map(lambda node: _answering_address(cluster, path, node), moving)
            answering.update((node.name, at) for node, at in zip(moving, found, strict=True))
    write_private(path, config(cluster, answering))
    return path


def _check_path(path: Path) -> None:
    if unfit := ssh_config_format.unfit(path):
        said = messages.PATH_NOT_FOR_SSH(characters=unfit)
        raise SettingsError([Problem(str(path), said)])


def config(cluster: Cluster, answering: Mapping[str, IPv4Address]) -> str:
    """
    Write the text of ssh_config.

    There is no HostKeyAlias: pyinfra looks a host key up by HostName, and OpenSSH must do the same.
    Passwords are allowed: they may be needed for the first connection.

    + answering: by node name, the address at which it answers now; otherwise its connect_address
    """
    identity = ssh_keys.operator_key(cluster)
    sections = []
    for node in cluster.nodes:
        address = answering.get(node.name, cluster.connect_address(node))
        options: list[tuple[str, str | int | Path]] = [
            ("HostName", str(address)),
            ("User", node.admin_user),
            ("IdentityFile", identity),
            ("IdentitiesOnly", "yes"),
            ("UserKnownHostsFile", known_hosts.path(cluster)),
            ("StrictHostKeyChecking", "accept-new"),
            ("ConnectTimeout", _CONNECT),
            ("ServerAliveInterval", 5),
            ("ServerAliveCountMax", 3),
        ]
        if gateway := cluster.gateway_of(node):
            options.append(("ProxyJump", gateway))
        sections.append(ssh_config_format.Host(node.name, options))
    return ssh_config_format.render(
        sections,
        comment="Written from inventory.py before each run: changes are lost.\n"
        "Use it: ssh -F .cluster/ssh_config NAME",
    )


def _answering_address(cluster: Cluster, path: Path, node: Node) -> IPv4Address:
    """Find the first of connect_address and first_address at which an SSH server answers; the
    former when neither does."""
    address = cluster.connect_address(node)
    for candidate in (address, node.first_address):
        if candidate is None:
            continue
        if gateway := cluster.gateway_of(node):
            answers = _answers_behind(path, gateway, candidate)
        else:
            answers = _answers(candidate)
        if answers:
            return candidate
    return address


def _answers(address: IPv4Address) -> bool:
    try:
        with socket.create_connection((str(address), _PORT), timeout=_PROBE):
            return True
    except OSError:
        return False


def _answers_behind(path: Path, gateway: str, address: IPv4Address) -> bool:
    """Tell whether an SSH server answers at the address, seen from the gateway."""
    options = ["-F", str(path), "-o", "BatchMode=yes", "-o", f"ConnectTimeout={_PROBE_BEHIND}"]
    try:
        said = subprocess.run(
            ["ssh", *options, "-W", f"{address}:{_PORT}", gateway],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_BEHIND + _PROBE,
        ).stdout
    except subprocess.TimeoutExpired as error:
        said = error.stdout or b""
    return said.startswith(b"SSH-")
