"""What the settings make of each node fits the operations that take it, in both topologies."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import settings
from operations import interfaces, kubeadm, kubeconfig, resolv_conf
from operations.preflight.node import Specification
from settings import specifications
from tests.project import behind_a_router

ROOT = Path(__file__).parents[2]
WIFI = 'wifi_ssid = "home"\nwifi_country = "GB"\nwifi_security = "wpa3"\nwifi_hidden = True\n'


@pytest.fixture(params=["nat", "router"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> settings.Cluster:
    project = tmp_path / "project"
    shutil.copytree(ROOT / "group_data", project / "group_data")
    shutil.copy(ROOT / "inventory.py", project)
    if request.param == "router":
        behind_a_router(project)
    with (project / "group_data/all.py").open("a") as file:
        file.write(WIFI)
    (project / ".cluster").mkdir()
    (project / ".cluster/wifi_psk").touch(mode=0o600)
    (project / ".cluster/wifi_psk").write_text("correct horse\n")
    return settings.load(project)


def fits(operation: Callable[..., Any], arguments: dict[str, Any]) -> None:
    inspect.signature(inspect.unwrap(operation)).bind(**arguments)


def test_deploys_and_preflight_are_given_the_same(cluster: settings.Cluster) -> None:
    first = cluster.first_control_plane
    for node in cluster.nodes:
        wanted = Specification(**specifications.preflight(cluster, node, first))
        assert wanted.resolver == specifications.resolver(cluster, node)
        assert list(wanted.interfaces) == [
            specifications.interface(each) for each in cluster.interfaces(node)
        ]
        assert {field.name for field in fields(Specification)} >= {
            *specifications.preflight(cluster, node, first)
        }


def test_they_are_arguments_of_the_operations(cluster: settings.Cluster) -> None:
    for node in cluster.nodes:
        fits(resolv_conf.resolver, specifications.resolver(cluster, node))
        for each in cluster.interfaces(node):
            radio = specifications.access_point(cluster)
            fits(interfaces.interface, specifications.interface(each) | radio)
        registration = specifications.registration(cluster, node)
        fits(kubeadm.join, {"control_plane": "node1", **registration})
    fits(kubeconfig.operator, specifications.context(cluster))
    plane = specifications.control_plane(cluster)
    version = {"kubernetes_version": "1.36", "repository": "https://pkgs.k8s.io/"}
    fits(
        kubeadm.init,
        plane | version | specifications.registration(cluster, cluster.first_control_plane),
    )
