"""What the repository's own settings say, and what follows from settings."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

import settings
from settings import kubernetes, overrides, sources
from settings.build import build
from tests.project import behind_a_router


def append(project: Path, file: str, text: str) -> None:
    with (project / file).open("a") as opened:
        opened.write(text)


def addresses(*texts: str) -> tuple[IPv4Address, ...]:
    return tuple(IPv4Address(text) for text in texts)


def test_the_repository_has_the_blogs_cluster(project: Path) -> None:
    cluster = settings.load(project)
    assert [(node.name, node.role, str(node.address)) for node in cluster.nodes] == [
        ("node1", "control_plane", "192.168.2.11"),
        ("node2", "worker", "192.168.2.12"),
        ("node3", "worker", "192.168.2.13"),
    ]
    assert cluster.first_control_plane.uplink_address == IPv4Address("192.168.1.32")
    assert cluster.topology == "nat"
    assert cluster.cluster_network == IPv4Network("192.168.2.0/24")
    assert cluster.pod_network == IPv4Network("10.244.0.0/16")


def test_behind_a_gateway_the_other_nodes_go_through_it(project: Path) -> None:
    cluster = settings.load(project)
    gateway, worker = cluster.node("node1"), cluster.node("node3")
    assert cluster.gateway == gateway
    assert cluster.default_gateway(worker) == gateway.address
    assert cluster.default_gateway(gateway) == IPv4Address("192.168.1.1")
    assert cluster.connect_address(gateway) == IPv4Address("192.168.1.32")
    assert cluster.connect_address(worker) == worker.address
    assert cluster.gateway_of(worker) == "node1"
    assert cluster.gateway_of(gateway) is None
    assert cluster.nameservers_of(worker) == addresses("8.8.8.8", "8.8.4.4", "192.168.1.1")


def test_with_a_router_all_nodes_go_through_it(project: Path) -> None:
    behind_a_router(project)
    cluster = settings.load(project)
    for node in cluster.nodes:
        assert cluster.default_gateway(node) == IPv4Address("192.168.2.1")
        assert cluster.connect_address(node) == node.address
        assert cluster.gateway_of(node) is None
        assert cluster.nameservers_of(node) == addresses("8.8.8.8", "8.8.4.4", "192.168.2.1")


def test_a_router_makes_the_uplink_irrelevant(project: Path) -> None:
    """The home router itself may be the cluster's: the same network as the unused uplink's."""
    append(
        project,
        "group_data/all.py",
        'topology = "router"\ncluster_network = "192.168.1.0/24"\nrouter = "192.168.1.1"\n',
    )
    (project / "inventory.py").write_text(
        'control_plane = [("node1", {"address": "192.168.1.11"})]\n'
    )
    cluster = settings.load(project)
    assert cluster.gateway is None
    assert cluster.default_gateway(cluster.nodes[0]) == IPv4Address("192.168.1.1")


def test_a_single_node_is_a_cluster(project: Path) -> None:
    text = (
        'control_plane = [("a", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})]\n'
    )
    (project / "inventory.py").write_text(text)
    cluster = settings.load(project)
    assert cluster.workers == ()
    assert cluster.nodes == (cluster.first_control_plane,)


def test_the_control_plane_comes_first_wherever_it_is_listed(project: Path) -> None:
    (project / "inventory.py").write_text(
        'workers = [("b", {"address": "192.168.2.12"})]\n'
        'control_plane = [("a", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})]\n'
    )
    assert [node.name for node in settings.load(project).nodes] == ["a", "b"]


WORKER_GATEWAY = """control_plane = [("node1", {"address": "192.168.2.11"})]
workers = [
    ("node2", {"address": "192.168.2.12"}),
    ("node3", {"address": "192.168.2.13", "uplink_address": "192.168.1.32"}),
]
"""


def test_a_worker_may_be_the_gateway(project: Path) -> None:
    (project / "inventory.py").write_text(WORKER_GATEWAY)
    cluster = settings.load(project)
    plane, other, gateway = cluster.nodes
    assert (cluster.gateway, cluster.first_control_plane) == (gateway, plane)
    assert [cluster.gateway_of(node) for node in cluster.nodes] == ["node3", "node3", None]
    assert cluster.default_gateway(plane) == cluster.default_gateway(other) == gateway.address
    assert [each.name for each in cluster.interfaces(gateway)] == ["eth0", "wlan0"]
    assert [each.name for each in cluster.interfaces(plane)] == ["eth0"]
    assert cluster.host_names["192.168.2.11"] == ["node1", "kubernetes-api"]


def test_behind_a_worker_gateway_kubectl_reaches_the_api_server_at_the_gateway(
    project: Path,
) -> None:
    (project / "inventory.py").write_text(WORKER_GATEWAY)
    cluster = settings.load(project)
    assert kubernetes.api_server(cluster) == "https://192.168.1.32:6443"
    assert kubernetes.certificate_names(cluster) == ["node1", "192.168.2.11", "192.168.1.32"]
    plane = IPv4Address("192.168.2.11")
    assert kubernetes.forwarded_ports(cluster) == {6443: plane}
    append(project, "group_data/all.py", "kubectl_proxy = True\n")
    assert kubernetes.forwarded_ports(settings.load(project)) == {6443: plane, 8080: plane}


def test_a_control_plane_that_is_the_gateway_needs_no_port_passed_on(project: Path) -> None:
    assert kubernetes.forwarded_ports(settings.load(project)) == {}


def several(project: Path, count: int, workers: str = "") -> settings.Cluster:
    nodes = [(f"node{n}", {"address": f"192.168.2.1{n}"}) for n in range(1, count + 1)]
    nodes[0][1]["uplink_address"] = "192.168.1.32"
    (project / "inventory.py").write_text(f"control_plane = {nodes}\nworkers = [{workers}]\n")
    append(project, "group_data/all.py", 'control_plane_address = "192.168.2.10"\n')
    return settings.load(project)


@pytest.mark.parametrize("count", [3, 5])
def test_several_control_planes_have_an_address_in_common(count: int, project: Path) -> None:
    cluster = several(project, count)
    assert [node.role for node in cluster.nodes] == ["control_plane"] * count
    assert cluster.host_names["192.168.2.11"] == ["node1"]
    assert cluster.host_names["192.168.2.10"] == ["kubernetes-api"]


def test_kubectl_here_reaches_the_address_of_control_planes_through_the_gateway(
    project: Path,
) -> None:
    cluster = several(project, 3)
    assert kubernetes.api_server(cluster) == "https://192.168.1.32:6443"
    names = ["node1", "192.168.2.11", "192.168.2.10", "192.168.1.32"]
    assert kubernetes.certificate_names(cluster) == names
    assert kubernetes.forwarded_ports(cluster) == {6443: IPv4Address("192.168.2.10")}
    append(project, "group_data/all.py", "kubectl_proxy = True\n")
    cluster = settings.load(project)
    assert kubernetes.proxy_url(cluster) == "http://192.168.1.32:8080"
    assert kubernetes.forwarded_ports(cluster) == {6443: IPv4Address("192.168.2.10")}


def test_kubectl_here_connects_to_the_address_of_control_planes_behind_a_router(
    project: Path,
) -> None:
    behind_a_router(project)
    append(project, "group_data/all.py", 'control_plane_address = "192.168.2.10"\n')
    cluster = settings.load(project)
    assert kubernetes.api_server(cluster) == "https://192.168.2.10:6443"
    assert kubernetes.proxy_url(cluster) == "http://192.168.2.11:8080"
    assert kubernetes.forwarded_ports(cluster) == {}


def test_pods_run_on_control_planes_where_those_are_the_only_nodes(project: Path) -> None:
    assert settings.load(project).control_plane_is_schedulable is False
    worker = '("node9", {"address": "192.168.2.19"})'
    assert several(project, 3, worker).control_plane_is_schedulable is False
    assert several(project, 3).control_plane_is_schedulable is True
    append(project, "group_data/all.py", "pods_on_control_plane = False\n")
    assert settings.load(project).control_plane_is_schedulable is False


def test_host_overrides_group_and_group_overrides_all(project: Path) -> None:
    append(project, "group_data/all.py", 'admin_user = "all"\n')
    append(project, "group_data/workers.py", 'admin_user = "group"\n')
    text = (project / "inventory.py").read_text()
    (project / "inventory.py").write_text(
        text.replace('"192.168.2.13"', '"192.168.2.13", "admin_user": "host"')
    )
    assert [node.admin_user for node in settings.load(project).nodes] == ["all", "group", "host"]


def test_the_group_of_all_hosts_named_after_the_file_goes_before_the_others(project: Path) -> None:
    append(project, "group_data/workers.py", 'admin_user = "group"\n')
    (project / "group_data/inventory.py").write_text('admin_user = "whole"\n')
    assert {node.admin_user for node in settings.load(project).nodes} == {"whole"}


def test_group_data_may_import_and_have_private_names(project: Path) -> None:
    append(
        project,
        "group_data/all.py",
        "from ipaddress import IPv4Network\nimport os.path as path\n"
        '_base = "192.168.2"\nrouter = f"{_base}.1"\n',
    )
    assert settings.load(project).router == IPv4Address("192.168.2.1")


def test_a_pyinfra_group_with_data_of_its_own_is_read(project: Path) -> None:
    (project / "inventory.py").write_text(
        'control_plane = [("a", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})]\n'
        'workers = ([("b", {"address": "192.168.2.12"})], {"admin_user": "own"})\n'
        'kitchen = ["b"]\noperator = ["@local"]\n'
    )
    cluster = settings.load(project)
    assert [node.name for node in cluster.nodes] == ["a", "b"]
    assert cluster.node("b").admin_user == "own"


def test_an_unknown_node_is_named_with_the_nearest(project: Path) -> None:
    with pytest.raises(KeyError, match=r"node2.*SET039"):
        settings.load(project).node("nod2")


def test_data_of_the_command_line_goes_before_all(project: Path) -> None:
    given = {"admin_user": "paul", "nameservers": "1.1.1.1, router"}
    cluster = build(sources.read(project, "inventory.py", given))
    assert {node.admin_user for node in cluster.nodes} == {"paul"}
    assert cluster.nameservers_of(cluster.nodes[0]) == addresses("1.1.1.1", "192.168.1.1")


def test_outside_pyinfra_there_is_no_data_of_the_command_line() -> None:
    assert overrides.given() == {}


def test_reading_an_inventory_does_not_prepare_it(project: Path) -> None:
    settings.load(project)
    assert not (project / ".cluster").exists()


def test_settings_are_not_for_changing(project: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings.load(project).router = IPv4Address("192.168.2.9")


def test_a_place_may_have_settings_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    file = tmp_path / "overrides.json"
    monkeypatch.setenv("BRAMBLE_OVERRIDES", str(file))
    file.write_text('{"docker": true, "kubernetes_version": "1.35"}')
    cluster = settings.load(project)
    assert (cluster.docker, cluster.kubernetes_version) == (True, "1.35")
    file.write_text('{"kubernetes_version": "newest"}')
    with pytest.raises(settings.SettingsError, match="BRAMBLE_OVERRIDES: kubernetes_version"):
        settings.load(project)
    file.write_text("[]")
    with pytest.raises(settings.SettingsError, match=r"overrides.json: .*SET111"):
        settings.load(project)
