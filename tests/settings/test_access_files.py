""".cluster/: the keys, ssh_config and known_hosts, as OpenSSH and pyinfra's client read them."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from pyinfra.connectors.sshuserclient.config import SSHConfig

import settings
from settings import first_boot, known_hosts, ssh_config
from settings.cluster_folder import write
from tests.project import behind_a_router
from tests.said import says

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHmNB4Vn7X2D4VvCe6mQpVfWw3cNqzYyJYlzD5cVhYhS"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO2mZ6oHnB1JtSgUzRzL7m2fWcE5V8tJXy6bq0kKp9aT"


@pytest.fixture
def cluster(project: Path) -> settings.Cluster:
    return settings.load(project)


def first_at(project: Path, name: str, address: str, first_address: str) -> settings.Cluster:
    """The cluster with a first_address for the node."""
    text = (project / "inventory.py").read_text()
    old = f'("{name}", {{"address": "{address}"'
    assert old in text
    (project / "inventory.py").write_text(
        text.replace(old, f'{old}, "first_address": "{first_address}"')
    )
    return settings.load(project)


def openssh(config: Path, name: str) -> dict[str, str]:
    """What OpenSSH makes of the file for that name; it connects to nothing."""
    command = ["ssh", "-G", "-F", str(config), name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


# --- ssh_config -----------------------------------------------------------------------------------


def test_openssh_and_pyinfra_understand_the_file_alike(cluster: settings.Cluster) -> None:
    path = ssh_config.write(cluster)
    parsed = SSHConfig()
    with path.open() as file:
        parsed.parse(file)
    folder = cluster.project / ".cluster"
    for node in cluster.nodes:
        theirs = openssh(path, node.name)
        pyinfras: dict[str, Any] = dict(parsed.lookup(node.name))
        assert theirs["hostname"] == pyinfras["hostname"] == str(cluster.connect_address(node))
        assert theirs["user"] == pyinfras["user"] == "pi"
        assert theirs["identityfile"] == str(folder / "id_ed25519")
        assert pyinfras["identityfile"] == [str(folder / "id_ed25519")]
        pinned = str(folder / "known_hosts")
        assert theirs["userknownhostsfile"] == pyinfras["userknownhostsfile"] == pinned
        assert theirs["stricthostkeychecking"] == "accept-new"
        assert pyinfras["stricthostkeychecking"] == "accept-new"
        assert theirs["passwordauthentication"] == "yes"  # for the first contact
        jump = "node1" if node.role == "worker" else None
        assert theirs.get("proxyjump") == pyinfras.get("proxyjump") == jump


def test_with_a_router_there_is_no_jump(project: Path) -> None:
    behind_a_router(project)
    assert "ProxyJump" not in ssh_config.config(settings.load(project), {})


def test_the_file_is_written_only_when_it_changes(cluster: settings.Cluster) -> None:
    path = ssh_config.write(cluster)
    before = path.stat()
    ssh_config.write(cluster)
    after = path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, "one\n")
    with path.open() as opened:
        write(path, "two\n")
        assert opened.read() == "one\n"
    assert path.read_text() == "two\n"
    assert mode(path) == "0o600"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["my project", "100%", "a#b", 'a"b'])
def test_a_path_that_ssh_cannot_hold_is_refused(project: Path, name: str) -> None:
    moved = project.rename(project.parent / name)
    with pytest.raises(settings.SettingsError, match="SET089"):
        ssh_config.write(settings.load(moved))


def test_ones_own_key_is_used_and_none_made(project: Path, tmp_path: Path) -> None:
    key = tmp_path / "mine"
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me", "-f", str(key)]
    subprocess.run(made, check=True)
    with (project / "group_data/all.py").open("a") as file:
        file.write(f'ssh_private_key = "{key}"\n')
    cluster = settings.load(project)
    assert f"IdentityFile {key}\n" in ssh_config.write(cluster).read_text()
    assert settings.operator_public_key(cluster) == key.with_suffix(".pub").read_text().strip()
    assert not (project / ".cluster/id_ed25519").exists()


# --- where a node answers -------------------------------------------------------------------------


def answering_at(monkeypatch: pytest.MonkeyPatch, *answering: str) -> list[str]:
    """Let SSH servers answer at these addresses; gives the addresses that are asked."""
    asked: list[str] = []

    def answers(address: IPv4Address) -> bool:
        asked.append(str(address))
        return str(address) in answering

    def answers_behind(_: Path, gateway: str, address: IPv4Address) -> bool:
        asked.append(f"{address} by {gateway}")
        return str(address) in answering

    monkeypatch.setattr(ssh_config, "_answers", answers)
    monkeypatch.setattr(ssh_config, "_answers_behind", answers_behind)
    return asked


def test_a_control_plane_behind_a_worker_is_reached_through_it(project: Path) -> None:
    (project / "inventory.py").write_text(
        'control_plane = [("node1", {"address": "192.168.2.11"})]\n'
        'workers = [("node2", {"address": "192.168.2.12", "uplink_address": "192.168.1.32"})]\n'
    )
    path = ssh_config.write(settings.load(project))
    assert openssh(path, "node1").get("proxyjump") == "node2"
    assert openssh(path, "node1")["hostname"] == "192.168.2.11"
    assert openssh(path, "node2").get("proxyjump") is None
    assert openssh(path, "node2")["hostname"] == "192.168.1.32"


def host_name(path: Path, name: str) -> str:
    return openssh(path, name)["hostname"]


def test_without_first_address_no_node_is_asked(
    cluster: settings.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering_at(monkeypatch)
    ssh_config.write(cluster)
    assert asked == []


def test_a_node_not_yet_deployed_is_found_at_its_first_address(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = first_at(project, "node1", "192.168.2.11", "192.168.1.150")
    asked = answering_at(monkeypatch, "192.168.1.150")
    assert host_name(ssh_config.write(cluster), "node1") == "192.168.1.150"
    assert asked == ["192.168.1.32", "192.168.1.150"]


def test_a_deployed_node_is_found_at_its_address(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = first_at(project, "node1", "192.168.2.11", "192.168.1.150")
    asked = answering_at(monkeypatch, "192.168.1.32", "192.168.1.150")
    assert host_name(ssh_config.write(cluster), "node1") == "192.168.1.32"
    assert asked == ["192.168.1.32"]


def test_a_node_that_answers_nowhere_is_expected_at_its_address(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = first_at(project, "node1", "192.168.2.11", "192.168.1.150")
    answering_at(monkeypatch)
    assert host_name(ssh_config.write(cluster), "node1") == "192.168.1.32"


def test_a_node_behind_the_gateway_is_asked_from_there(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = first_at(project, "node2", "192.168.2.12", "192.168.2.99")
    asked = answering_at(monkeypatch, "192.168.2.99")
    assert host_name(ssh_config.write(cluster), "node2") == "192.168.2.99"
    assert asked == ["192.168.2.12 by node1", "192.168.2.99 by node1"]


def test_an_address_is_asked_by_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(ssh_config, "_PORT", server.getsockname()[1])
        assert ssh_config._answers(IPv4Address("127.0.0.1"))
    assert not ssh_config._answers(IPv4Address("127.0.0.1"))


@pytest.mark.parametrize(
    ("script", "answers"),
    [
        ("echo SSH-2.0-OpenSSH_10.0", True),
        ("echo SSH-2.0-OpenSSH_10.0; exec sleep 3600", True),
        ("exec sleep 3600", False),
        ("exit 255", False),
    ],
)
def test_the_gateway_is_asked_by_listening_for_the_greeting(
    cluster: settings.Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    answers: bool,
) -> None:
    monkeypatch.setattr(ssh_config, "_PROBE_BEHIND", 0)
    monkeypatch.setattr(ssh_config, "_PROBE", 10 if answers else 0.5)
    command = tmp_path / "ssh"
    command.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n{script}\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    config = Path("config")
    assert ssh_config._answers_behind(config, "node1", IPv4Address("192.168.2.12")) is answers
    assert (tmp_path / "arguments").read_text() == (
        "-F config -o BatchMode=yes -o ConnectTimeout=0 -W 192.168.2.12:22 node1\n"
    )


# --- keys -----------------------------------------------------------------------------------------


def test_keys_are_made_once_and_private(cluster: settings.Cluster) -> None:
    key = settings.operator_key(cluster)
    first = settings.host_key(cluster, cluster.first_control_plane)
    before = key.read_text()
    assert settings.operator_key(cluster).read_text() == before
    assert settings.host_key(cluster, cluster.first_control_plane) == first
    assert settings.host_key(cluster, cluster.node("node2")) != first
    folder = cluster.project / ".cluster"
    assert mode(folder) == mode(folder / "host_keys") == "0o700"
    assert mode(key) == mode(folder / "host_keys/node1_ed25519") == "0o600"
    assert first.private not in repr(first)
    assert {path.name for path in folder.iterdir()} == {
        "id_ed25519",
        "id_ed25519.pub",
        "host_keys",
        "lock",
    }


def test_without_ssh_keygen_a_person_is_told_what_to_install(
    cluster: settings.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(settings.SettingsError, match="SET088"):
        settings.operator_key(cluster)


def test_a_folder_that_others_can_read_is_closed(cluster: settings.Cluster) -> None:
    (cluster.project / ".cluster").mkdir(mode=0o755)
    settings.operator_key(cluster)
    assert mode(cluster.project / ".cluster") == "0o700"


# --- known_hosts ----------------------------------------------------------------------------------


def known_as(cluster: settings.Cluster, name: str) -> list[str]:
    """The keys that OpenSSH finds under the name."""
    command = ["ssh-keygen", "-F", name, "-f", str(known_hosts.path(cluster))]
    found = subprocess.run(command, capture_output=True, text=True).stdout
    return [" ".join(line.split()[1:]) for line in found.splitlines() if line[0] != "#"]


def test_a_pinned_key_is_known_under_name_and_addresses(cluster: settings.Cluster) -> None:
    known_hosts.pin(cluster, cluster.first_control_plane, f"{OTHER} old")
    known_hosts.pin(cluster, cluster.first_control_plane, f"{KEY} comment")
    for name in ("node1", "192.168.2.11", "192.168.1.32"):
        assert known_as(cluster, name) == [KEY]
    assert mode(known_hosts.path(cluster)) == "0o600"


def test_a_key_accepted_at_one_address_holds_at_the_others(project: Path) -> None:
    cluster = first_at(project, "node2", "192.168.2.12", "192.168.2.99")
    known_hosts.unite(cluster)  # makes the file
    with known_hosts.path(cluster).open("a") as file:
        file.write(f"192.168.2.99 {KEY}\n" * 3)  # as pyinfra does
    known_hosts.unite(cluster)
    assert known_hosts.path(cluster).read_text() == f"node2,192.168.2.12,192.168.2.99 {KEY}\n"


def test_two_keys_under_one_nodes_names_are_left_to_the_person(project: Path) -> None:
    cluster = first_at(project, "node2", "192.168.2.12", "192.168.2.99")
    text = f"# mine\n192.168.2.12 {KEY}\n192.168.2.99 {OTHER}\n"
    known_hosts.path(cluster).write_text(text)
    known_hosts.unite(cluster)
    assert known_hosts.path(cluster).read_text() == text


def test_the_remedy_for_a_changed_key_works_as_printed(cluster: settings.Cluster) -> None:
    for node in cluster.nodes:
        known_hosts.pin(cluster, node, KEY)
    said = settings.changed_key(cluster, cluster.first_control_plane)
    assert says(said, "SET090 node1 & 192.168.1.32")
    command = said.split("`")[1]
    assert command == "ssh-keygen -R 192.168.1.32 -f .cluster/known_hosts"
    subprocess.run(command.split(), cwd=cluster.project, check=True, capture_output=True)
    assert known_as(cluster, "node1") == []
    assert known_as(cluster, "node2") == [KEY]


def test_a_node_with_a_card_is_known_before_first_contact(cluster: settings.Cluster) -> None:
    first_boot.pin(cluster, cluster.first_control_plane)
    key = settings.host_key(cluster, cluster.first_control_plane).public
    assert known_as(cluster, "192.168.1.32") == [" ".join(key.split()[:2])]


def test_two_at_once_agree_on_one_key(make_project: Callable[[], Path]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    cluster = settings.load(make_project())
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: settings.host_key(cluster, cluster.nodes[0]), range(8)))
    assert len(keys) == 1
