"""Project folders to break: each with the repository's own inventory.py and group_data/."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[[], Path]:
    made: list[Path] = []

    def make() -> Path:
        folder = tmp_path / f"project{len(made)}"
        folder.mkdir()
        shutil.copy(ROOT / "inventory.py", folder)
        shutil.copytree(
            ROOT / "group_data", folder / "group_data", ignore=shutil.ignore_patterns("__pycache__")
        )
        made.append(folder)
        return folder

    return make


@pytest.fixture
def project(make_project: Callable[[], Path]) -> Path:
    return make_project()
