"""The picture of a cluster: everything in it, where a person can read it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest

import settings
from settings import picture

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def with_workers(project: Path, number: int) -> Path:
    workers = "".join(
        f'    ("node{n}", {{"address": "192.168.2.{n + 10}"}}),\n' for n in range(2, number + 2)
    )
    text = (project / "inventory.py").read_text()
    new = re.sub(r"(?s)workers = \[\n.*?\]", f"workers = [\n{workers}]", text)
    (project / "inventory.py").write_text(new)
    assert len(settings.load(project).workers) == number
    return project


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def boxes(svg: str) -> Iterator[tuple[float, float, float, float]]:
    for element in ElementTree.fromstring(svg).iter(f"{SVG}rect"):
        if element.attrib["class"] != "paper":
            x, y, width, height = (float(element.attrib[n]) for n in ("x", "y", "width", "height"))
            yield x, y, x + width, y + height


def test_the_pictures_in_the_docs_are_of_this_inventory() -> None:
    """`make picture` draws them anew."""
    for name, text in picture.pictures(ROOT).items():
        assert (ROOT / "docs" / name).read_text() == text, f"{name}: make picture"


def test_nodes_interfaces_addresses_and_routes_are_in_it(project: Path) -> None:
    nat = texts(picture.pictures(project)["topology-nat.svg"])
    for each in ("node1", "node2", "node3", "your router", "switch  ·  192.168.2.0/24"):
        assert nat.count(each) == 1
    assert "wlan0 192.168.1.32 (DHCP)" in nat
    assert "eth0 192.168.2.13" in nat
    assert nat.count("default via 192.168.2.11") == 2
    assert nat.count("default via 192.168.1.1") == 1
    router = texts(picture.pictures(project)["topology-router.svg"])
    assert router.count("default via 192.168.2.1") == 3
    assert "wlan0 192.168.1.32 (DHCP)" not in router


@pytest.mark.parametrize("number", [1, 3, 6, 9, 20])
def test_no_box_is_on_another_or_off_the_sheet(project: Path, number: int) -> None:
    for svg in picture.pictures(with_workers(project, number)).values():
        found = list(boxes(svg))
        sheet = ElementTree.fromstring(svg).attrib
        for left, top, right, bottom in found:
            assert left >= 0
            assert top >= 0
            assert right <= float(sheet["width"])
            assert bottom <= float(sheet["height"])
        for one, other in combinations(found, 2):
            apart = one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]
            assert apart, (one, other)


def test_a_radio_is_drawn_as_one_without_its_name(project: Path) -> None:
    assert "cable  ·  192.168.1.0/24" in texts(picture.pictures(project)["topology-nat.svg"])
    with (project / "group_data/all.py").open("a") as file:
        file.write('wifi_ssid = "The Smiths"\nwifi_country = "GB"\n')
    (project / ".cluster").mkdir()
    (project / ".cluster/wifi_psk").write_text("a good passphrase\n")
    (project / ".cluster/wifi_psk").chmod(0o600)
    svg = picture.pictures(project)["topology-nat.svg"]
    assert "Wi-Fi  ·  192.168.1.0/24" in texts(svg)
    assert 'class="radio"' in svg
    assert "Smith" not in svg


def test_a_gateway_that_is_a_worker_is_drawn_as_one(project: Path) -> None:
    text = (project / "inventory.py").read_text().replace(', "uplink_address": "192.168.1.32"', "")
    text = text.replace('"192.168.2.13"', '"192.168.2.13", "uplink_address": "192.168.1.32"')
    (project / "inventory.py").write_text(text)
    drawn = texts(picture.pictures(project)["topology-nat.svg"])
    gateway = drawn[drawn.index("node3") :]
    assert gateway[1:5] == [
        "wlan0 192.168.1.32 (DHCP)",
        "eth0 192.168.2.13",
        "default via 192.168.1.1",
        "worker, gateway (NAT)",
    ]
    assert drawn.count("control plane") == 1
    assert drawn.count("default via 192.168.2.13") == 2


def test_the_address_that_control_planes_have_in_common_is_in_it(project: Path) -> None:
    nodes = [(f"node{n}", {"address": f"192.168.2.1{n}"}) for n in (1, 2, 3)]
    nodes[0][1]["uplink_address"] = "192.168.1.32"
    (project / "inventory.py").write_text(f"control_plane = {nodes}\n")
    with (project / "group_data/all.py").open("a") as file:
        file.write('control_plane_address = "192.168.2.10"\n')
    for svg in picture.pictures(project).values():
        drawn = texts(svg)
        assert "kubernetes-api 192.168.2.10: held by one of node1, node2, node3" in drawn
        assert sum(each.startswith("control plane") for each in drawn) == 3


def test_a_renderer_that_ignores_the_style_sheet_sees_every_colour(project: Path) -> None:
    for svg in picture.pictures(project).values():
        assert "var(" not in svg
        for element in ElementTree.fromstring(svg).iter():
            if element.tag in (f"{SVG}rect", f"{SVG}path", f"{SVG}text"):
                assert {"fill", "stroke"} <= element.attrib.keys()
            if element.tag == f"{SVG}text":
                assert {"font-family", "font-size"} <= element.attrib.keys()


def test_a_cluster_without_an_uplink_is_drawn_with_a_router_only(
    make_project: Callable[[], Path],
) -> None:
    project = make_project()
    text = (project / "inventory.py").read_text().replace(', "uplink_address": "192.168.1.32"', "")
    (project / "inventory.py").write_text(text)
    with pytest.raises(settings.SettingsError, match="uplink_address"):
        picture.pictures(project)  # its own topology is "nat"
    with (project / "group_data/all.py").open("a") as file:
        file.write('topology = "router"\n')
    assert list(picture.pictures(project)) == ["topology-router.svg"]
