"""A project folder, small images, and `deploys/sdcard.py` run as a person runs it."""

from __future__ import annotations

import lzma
import os
import shutil
from functools import partial
from pathlib import Path

import pytest

from lab import host
from tests import needs
from tests.cards import images
from tests.cards.runs import Run, run
from tests.project import REPOSITORY, link_code


@pytest.fixture(scope="session")
def tools() -> None:
    """What the tests make images with; sbin is not in everybody's PATH."""
    needs.here("mcopy", "mkfs.vfat", "sfdisk", root=False)
    os.environ["PATH"] = host.environment()["PATH"]


@pytest.fixture(scope="session")
def image(tools: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image as it is unpacked."""
    return images.make(tmp_path_factory.mktemp("image") / "own.img")


@pytest.fixture(scope="session")
def packed(image: Path) -> Path:
    """The same as .xz, as publishers have it."""
    file = image.with_name("own.img.xz")
    file.write_bytes(lzma.compress(image.read_bytes(), preset=0))
    return file


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project's own inventory and settings, in a folder to run things in."""
    folder = tmp_path / "project"
    folder.mkdir()
    link_code(folder)
    (folder / "inventory.py").symlink_to(REPOSITORY / "inventory.py")
    shutil.copytree(REPOSITORY / "group_data", folder / "group_data")
    return folder


@pytest.fixture
def sdcard(project: Path) -> Run:
    """Runs it with these arguments of pyinfra and these `--data`; ``-y`` when there are none."""
    return partial(run, project)
