"""What `deploys/sdcard.py` is asked for, and the image that the settings name."""

from __future__ import annotations

from pathlib import Path

import pytest

from messages import codes
from settings import images
from settings.card_request import asked


def mistakes(project: Path, **data: object) -> list[str]:
    with pytest.raises(SystemExit) as ended:
        asked(data, project)
    lines = str(ended.value).splitlines()
    return [f"{line.split(' ')[0]} {codes(line)[0]}" for line in lines]


def test_the_default_is_raspberry_pi_os_with_its_checksum(project: Path) -> None:
    request = asked({"node": "node2", "device": "/dev/sdb"}, project)
    assert (request.node.name, request.device, request.file) == ("node2", "/dev/sdb", None)
    assert (request.yes, request.any_disk) == (False, False)
    image = request.cluster.card_image
    assert image is images.CATALOGUE["raspios"]
    assert image.dialect == "cloud-init"
    assert image.source.endswith("-raspios-trixie-arm64-lite.img.xz")
    assert image.checksum
    assert len(image.checksum) == 64


def test_a_setting_on_the_command_line_holds_for_this_run(project: Path) -> None:
    data = {"node": "node1", "file": "node1.img", "image": "hypriotos", "yes": True}
    request = asked(data, project)
    assert request.yes
    image = request.cluster.card_image
    assert image.dialect == "cloud-init-0.7.9"
    assert image.checksum == f"{image.source}.sha256"


def test_an_image_of_ones_own_is_found_from_the_project_folder(project: Path) -> None:
    data = {"node": "node1", "file": "node1.img", "image": "images/own.img.xz"}
    (project / "images").mkdir()
    (project / "images/own.img.xz").touch()
    image = asked(data, project).cluster.card_image
    assert (image.title, image.source) == ("own.img.xz", str(project / "images/own.img.xz"))
    assert image.checksum is None


def test_what_is_missing_is_told_with_how_to_say_it(project: Path) -> None:
    assert mistakes(project) == ["--data: SET113", "--data: SET113"]


def test_a_node_that_is_not_in_the_inventory_is_refused(project: Path) -> None:
    assert mistakes(project, node="nod2", file="x.img") == ["--data: SET039"]


def test_device_and_file_at_once_are_refused(project: Path) -> None:
    given = {"node": "node1", "file": "x.img", "device": "/dev/sdb"}
    assert mistakes(project, **given) == ["--data: SET113"]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"devise": "/dev/sdb"}, "--data: SET020"),
        ({"yes": "yess"}, "--data: SET003"),
        ({"timezone": "Europe/Lisbn"}, "--data: SET005"),
    ],
)
def test_a_typing_error_is_told(project: Path, data: dict[str, object], line: str) -> None:
    assert line in mistakes(project, **{"node": "node1", "file": "node1.img", **data})
