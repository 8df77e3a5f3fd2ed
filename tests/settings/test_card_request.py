"""What `deploys/sdcard.py` is asked for, and the image that the settings name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import settings
from messages import codes
from settings import images, sources
from settings.build import build
from settings.card_request import asked

ROOT = Path(__file__).parents[2]


def mistakes(project: Path, **options: str) -> list[str]:
    with pytest.raises(SystemExit) as ended:
        asked(settings.load(project), options)
    lines = str(ended.value).splitlines()
    return [f"{line.split(' ')[0]} {codes(line)[0]}" for line in lines]


def test_the_default_is_raspberry_pi_os_with_its_checksum(project: Path) -> None:
    cluster = settings.load(project)
    request = asked(cluster, {"node": "node2", "device": "/dev/sdb"})
    assert (request.node.name, request.device, request.file) == ("node2", "/dev/sdb", None)
    assert (request.yes, request.any_disk) == (False, False)
    image = cluster.card_image
    assert image is images.CATALOGUE["raspios"]
    assert image.dialect == "cloud-init"
    assert image.source.endswith("-raspios-trixie-arm64-lite.img.xz")
    assert image.checksum
    assert len(image.checksum) == 64


def test_an_answer_is_true_or_false(project: Path) -> None:
    options = {"node": "node1", "device": "/dev/sdb", "yes": "True", "any_disk": "false"}
    request = asked(settings.load(project), options)
    assert (request.yes, request.any_disk) == (True, False)
    assert mistakes(project, **{**options, "yes": "yess"}) == ["--data: SET003"]


def test_an_image_of_ones_own_is_found_from_the_project_folder(project: Path) -> None:
    (project / "images").mkdir()
    (project / "images/own.img.xz").touch()
    given = {"image": "images/own.img.xz"}
    image = build(sources.read(project, "inventory.py", given)).card_image
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
    ("data", "code"),
    [
        ("devise=/dev/sdb", "SET020"),
        ("timezone=Europe/Lisbn", "SET005"),
        ("uplink_address=192.168.1.9", "SET023"),
    ],
)
def test_a_typing_error_ends_the_run_before_the_deploy(project: Path, data: str, code: str) -> None:
    for name in ("deploys", "config.py"):
        (project / name).symlink_to(ROOT / name)
    command = ["@local", "deploys/sdcard.py", "--data", "node=node1", "--data", data]
    done = subprocess.run(
        [sys.executable, "-m", "pyinfra", "-y", *command],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(project)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert codes(done.stderr) == [code]
    assert f"--data: {data.partition('=')[0]}: " in done.stderr
    assert "Connecting" not in done.stderr
