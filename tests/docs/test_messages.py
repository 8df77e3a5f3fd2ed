"""The documentation keeps up with the code: what it quotes is still said."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
WRONG = REPOSITORY / "docs" / "when-something-is-wrong.md"
# What stands for a part that differs, here as there.
GAP = "…"


def texts() -> Iterator[str]:
    """Every text in the code that a person may read, with a gap for each part that differs."""
    for room in ("operations", "workstation", "settings", "formats", "report", "messages"):
        for file in (REPOSITORY / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
                elif isinstance(node, ast.JoinedStr):
                    yield "".join(
                        str(part.value) if isinstance(part, ast.Constant) else GAP
                        for part in node.values
                    )


SAID = "\n".join(" ".join(text.split()) for text in texts())
QUOTED = re.findall(r"(?m)^\| `([^`]+)` \|", WRONG.read_text())


def is_said(words: str) -> bool:
    pieces = [re.escape(piece.strip()) for piece in words.split(GAP) if piece.strip()]
    return re.search(".*".join(pieces), SAID) is not None


def test_there_is_a_table() -> None:
    assert len(QUOTED) > 0
    assert len(set(QUOTED)) == len(QUOTED)
    assert not is_said("this is said … nowhere")


@pytest.mark.parametrize("words", QUOTED)
def test_what_the_table_quotes_is_still_said(words: str) -> None:
    assert is_said(words)


@pytest.mark.parametrize("page", ["README.md", "group_data/all.py"])
def test_the_command_that_keeps_the_wifi_key_works_on_a_fresh_clone(
    page: str, tmp_path: Path
) -> None:
    (line,) = re.findall(r"(?m)^(?:#  |   ) (.*/wifi_psk)$", (REPOSITORY / page).read_text())
    subprocess.run(["sh", "-c", line], cwd=tmp_path, input=b"correct horse\n", check=True)
    key = tmp_path / ".cluster/wifi_psk"
    assert key.read_text() == "correct horse\n"
    assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)
