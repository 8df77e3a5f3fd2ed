"""The options of deploys/remove.py, and the inventory's line that is to go."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

import settings
from settings import SettingsError
from settings.removal import check_replaced, check_restored, requested
from tests.project import REPOSITORY

INVENTORY = """control_plane = [
    ("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"})
]
workers = [("node2", {"address": "192.168.2.12"})]
# node3 came later
workers.append(
    ("node3", {"address": "192.168.2.13"})
)
"""


@pytest.fixture
def cluster(tmp_path: Path) -> settings.Cluster:
    (tmp_path / "inventory.py").write_text(INVENTORY)
    (tmp_path / "group_data").symlink_to(REPOSITORY / "group_data")
    return settings.load(tmp_path)


def test_a_worker_and_its_line(cluster: settings.Cluster) -> None:
    found = requested(cluster, {"node": "node3"}, "inventory.py")
    assert (found.node.name, found.purge, found.yes) == ("node3", False, None)
    assert set(found.lines) == {"node3"}  # node1 is the gateway
    assert found.lines["node3"] == 'inventory.py line 7: ("node3", {"address": "192.168.2.13"})'


def test_packages_and_an_answer(cluster: settings.Cluster) -> None:
    options = {"node": "node2", "packages": "purge", "yes": "node2"}
    found = requested(cluster, options, "inventory.py")
    assert (found.purge, found.yes) == (True, "node2")
    assert found.lines["node2"].startswith("inventory.py line 4: workers = [")


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        ({}, ["SET119"]),
        ({"node": ""}, ["SET119"]),
        ({"node": "node1"}, ["SET120"]),
        ({"node": "node3", "packages": "keep"}, ["SET121"]),
        ({"packages": "keep"}, ["SET121", "SET119"]),
    ],
)
def test_mistakes_are_named(
    cluster: settings.Cluster, options: Mapping[str, str], codes: list[str]
) -> None:
    with pytest.raises(SettingsError) as mistakes:
        requested(cluster, options, "inventory.py")
    assert [each.text.message.code for each in mistakes.value.problems] == codes


def test_a_control_plane_that_is_the_gateway_stays(tmp_path: Path) -> None:
    first, *others = [f'("node{n}", {{"address": "192.168.2.1{n}"}})' for n in (1, 2, 3)]
    gateway = first.replace("}", ', "uplink_address": "192.168.1.32"}')
    (tmp_path / "inventory.py").write_text(
        f"control_plane = [{gateway}, {', '.join(others)}]\nworkers = []\n"
    )
    folder = tmp_path / "group_data"
    folder.mkdir()
    text = (REPOSITORY / "group_data/all.py").read_text()
    setting = "control_plane_address = "
    assert f"{setting}None" in text
    (folder / "all.py").write_text(text.replace(f"{setting}None", f"{setting}'192.168.2.10'"))
    cluster = settings.load(tmp_path)
    with pytest.raises(SettingsError) as mistakes:
        requested(cluster, {"node": "node1"}, "inventory.py")
    (problem,) = mistakes.value.problems
    assert problem.text.message.code == "SET136"
    assert problem.text.values == {"node": "node1", "others": "node2 or node3"}
    found = requested(cluster, {"node": "node2"}, "inventory.py")
    assert set(found.lines) == {"node2", "node3"}


def test_a_node_that_the_inventory_does_not_have(cluster: settings.Cluster) -> None:
    with pytest.raises(SettingsError) as mistakes:
        requested(cluster, {"node": "node4"}, "inventory.py")
    assert "node4" in str(mistakes.value)


def test_only_a_worker_is_replaced(cluster: settings.Cluster) -> None:
    check_replaced(cluster, {})
    check_replaced(cluster, {"replace": "node2"})
    for name, code in (("node1", "SET123"), ("node9", "")):
        with pytest.raises(SettingsError) as mistakes:
            check_replaced(cluster, {"replace": name})
        assert name in str(mistakes.value)
        assert code in str(mistakes.value)


def test_only_a_control_plane_is_restored(cluster: settings.Cluster) -> None:
    check_restored(cluster, {})
    check_restored(cluster, {"node": "node1"})
    for name in ("node2", "node9"):
        with pytest.raises(SettingsError) as mistakes:
            check_restored(cluster, {"node": name})
        (problem,) = mistakes.value.problems
        assert problem.text.message.code == "SET135"
        assert "Write node1." in str(mistakes.value)
