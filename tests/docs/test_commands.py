"""Commands in the documentation work as printed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["README.md", "group_data/all.py"])
def test_the_command_that_keeps_the_wifi_key_works_on_a_fresh_clone(
    page: str, tmp_path: Path
) -> None:
    (line,) = re.findall(r"(?m)^(?:#  |   ) (.*/wifi_psk)$", (REPOSITORY / page).read_text())
    subprocess.run(["sh", "-c", line], cwd=tmp_path, input=b"correct horse\n", check=True)
    key = tmp_path / ".cluster/wifi_psk"
    assert key.read_text() == "correct horse\n"
    assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (REPOSITORY / "Makefile").read_text()))
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]
    named = {
        name
        for page in pages
        for name in re.findall(r"(?m)(?:^ {4,}|`)make ([a-z-]+)", page.read_text())
    }
    assert len(named) > 10
    assert named <= targets, named - targets
