"""What the repository's own settings say, and what follows from settings."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

import settings
from settings import overrides, sources
from settings.build import build


def append(desk: Path, file: str, text: str) -> None:
    with (desk / file).open("a") as opened:
        opened.write(text)


def addresses(*texts: str) -> tuple[IPv4Address, ...]:
    return tuple(IPv4Address(text) for text in texts)


def test_the_repository_has_the_blogs_cluster(desk: Path) -> None:
    cluster = settings.load(desk)
    assert [(node.name, node.role, str(node.address)) for node in cluster.nodes] == [
        ("node1", "head", "192.168.2.11"),
        ("node2", "worker", "192.168.2.12"),
        ("node3", "worker", "192.168.2.13"),
    ]
    assert cluster.head.uplink_address == IPv4Address("192.168.1.32")
    assert cluster.topology == "nat"
    assert cluster.cluster_network == IPv4Network("192.168.2.0/24")
    assert cluster.pod_network == IPv4Network("10.244.0.0/16")


def test_behind_a_nat_head_workers_go_through_it(desk: Path) -> None:
    cluster = settings.load(desk)
    head, worker = cluster.head, cluster.node("node3")
    assert cluster.gateway(worker) == head.address
    assert cluster.gateway(head) == IPv4Address("192.168.1.1")
    assert cluster.connect_address(head) == IPv4Address("192.168.1.32")
    assert cluster.connect_address(worker) == worker.address
    assert cluster.behind_head(worker)
    assert not cluster.behind_head(head)
    assert cluster.nameservers_of(worker) == addresses("8.8.8.8", "8.8.4.4", "192.168.1.1")


def test_with_a_router_all_nodes_go_through_it(desk: Path) -> None:
    append(desk, "group_data/all.py", 'topology = "router"\n')
    cluster = settings.load(desk)
    for node in cluster.nodes:
        assert cluster.gateway(node) == IPv4Address("192.168.2.1")
        assert cluster.connect_address(node) == node.address
        assert not cluster.behind_head(node)
        assert cluster.nameservers_of(node) == addresses("8.8.8.8", "8.8.4.4", "192.168.2.1")


def test_a_router_makes_the_uplink_irrelevant(desk: Path) -> None:
    """The home router itself may be the cluster's: the same network as the unused uplink's."""
    append(
        desk,
        "group_data/all.py",
        'topology = "router"\ncluster_network = "192.168.1.0/24"\nrouter = "192.168.1.1"\n',
    )
    (desk / "inventory.py").write_text('head = [("node1", {"address": "192.168.1.11"})]\n')
    assert settings.load(desk).gateway(settings.load(desk).head) == IPv4Address("192.168.1.1")


def test_a_single_node_is_a_cluster(desk: Path) -> None:
    text = 'head = [("a", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})]\n'
    (desk / "inventory.py").write_text(text)
    cluster = settings.load(desk)
    assert cluster.workers == ()
    assert cluster.nodes == (cluster.head,)


def test_head_comes_first_wherever_it_is_listed(desk: Path) -> None:
    (desk / "inventory.py").write_text(
        'workers = [("b", {"address": "192.168.2.12"})]\n'
        'head = [("a", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})]\n'
    )
    assert [node.name for node in settings.load(desk).nodes] == ["a", "b"]


def test_host_overrides_group_and_group_overrides_all(desk: Path) -> None:
    append(desk, "group_data/all.py", 'admin_user = "all"\n')
    append(desk, "group_data/workers.py", 'admin_user = "group"\n')
    text = (desk / "inventory.py").read_text()
    (desk / "inventory.py").write_text(
        text.replace('"192.168.2.13"', '"192.168.2.13", "admin_user": "host"')
    )
    assert [node.admin_user for node in settings.load(desk).nodes] == ["all", "group", "host"]


def test_the_group_of_all_hosts_named_after_the_file_goes_before_the_others(desk: Path) -> None:
    append(desk, "group_data/workers.py", 'admin_user = "group"\n')
    (desk / "group_data/inventory.py").write_text('admin_user = "whole"\n')
    assert {node.admin_user for node in settings.load(desk).nodes} == {"whole"}


def test_group_data_may_import_and_have_private_names(desk: Path) -> None:
    append(
        desk,
        "group_data/all.py",
        "from ipaddress import IPv4Network\nimport os.path as path\n"
        '_base = "192.168.2"\nrouter = f"{_base}.1"\n',
    )
    assert settings.load(desk).router == IPv4Address("192.168.2.1")


def test_a_pyinfra_group_with_data_of_its_own_is_read(desk: Path) -> None:
    (desk / "inventory.py").write_text(
        'head = [("a", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})]\n'
        'workers = ([("b", {"address": "192.168.2.12"})], {"admin_user": "own"})\n'
        'kitchen = ["b"]\noperator = ["@local"]\n'
    )
    cluster = settings.load(desk)
    assert [node.name for node in cluster.nodes] == ["a", "b"]
    assert cluster.node("b").admin_user == "own"


def test_an_unknown_node_is_named_with_the_nearest(desk: Path) -> None:
    with pytest.raises(KeyError, match="did you mean node2"):
        settings.load(desk).node("nod2")


def test_data_of_the_command_line_goes_before_all(desk: Path) -> None:
    given = {"admin_user": "paul", "nameservers": "1.1.1.1, router"}
    cluster = build(sources.read(desk, "inventory.py", given))
    assert {node.admin_user for node in cluster.nodes} == {"paul"}
    assert cluster.nameservers_of(cluster.head) == addresses("1.1.1.1", "192.168.1.1")


def test_outside_pyinfra_there_is_no_data_of_the_command_line() -> None:
    assert overrides.given() == {}


def test_reading_an_inventory_does_not_prepare_it(desk: Path) -> None:
    settings.load(desk)
    assert not (desk / ".cluster").exists()


def test_settings_are_not_for_changing(desk: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings.load(desk).router = IPv4Address("192.168.2.9")


def test_a_place_may_have_settings_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desk: Path
) -> None:
    file = tmp_path / "overrides.json"
    monkeypatch.setenv("BRAMBLE_OVERRIDES", str(file))
    file.write_text('{"docker": true, "kubernetes_version": "1.35"}')
    cluster = settings.load(desk)
    assert (cluster.docker, cluster.kubernetes_version) == (True, "1.35")
    file.write_text('{"kubernetes_version": "newest"}')
    with pytest.raises(settings.SettingsError, match="BRAMBLE_OVERRIDES: kubernetes_version"):
        settings.load(desk)
    file.write_text("[]")
    with pytest.raises(settings.SettingsError, match=r"overrides.json: it holds no settings"):
        settings.load(desk)
