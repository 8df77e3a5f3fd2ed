"""Each file in bad/ is a mistake: what it writes onto the desk, and the lines that a person sees.

A file of group_data/ is appended to the repository's own one, any other file replaces it, and null
removes it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import yaml

import settings

CASES = sorted((Path(__file__).parent / "bad").glob("*.yaml"))
# Where mistakes are found and worded.
HERE = Path(str(settings.__file__)).parent
MODULES = [
    *(
        HERE / name
        for name in (
            "build.py",
            "card_fields.py",
            "fields.py",
            "images.py",
            "kubernetes_fields.py",
            "sources.py",
            "wifi.py",
        )
    ),
    *(HERE / "checks").glob("*.py"),
]


def mistakes(case: Path, desk: Path) -> list[str]:
    files: dict[str, str | None] = yaml.safe_load(case.read_text(encoding="utf-8"))
    del files["message"]
    for name, text in files.items():
        path = desk / name
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(exist_ok=True)
        with path.open("a" if path.parent.name == "group_data" else "w", encoding="utf-8") as file:
            file.write(text)
        if path.parent.name == ".cluster":
            path.chmod(0o600)
    with pytest.raises(settings.SettingsError) as caught:
        settings.load(desk)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_mistake_is_told_in_these_words(case: Path, desk: Path) -> None:
    said = mistakes(case, desk)
    last = len((desk / "group_data" / "all.py").read_text(encoding="utf-8").splitlines())
    expected = yaml.safe_load(case.read_text(encoding="utf-8"))["message"]
    assert said == [line.replace("<last>", str(last)) for line in expected]


def test_wifi_key_is_in_no_message() -> None:
    for case in CASES:
        content = yaml.safe_load(case.read_text(encoding="utf-8"))
        for key in (text for name, text in content.items() if name.endswith("wifi_psk")):
            assert key.strip() not in "\n".join(content["message"])


def complaints(module: Path) -> Iterator[range]:
    """The lines of each statement that words a mistake: those with a text made on the spot."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        words = (
            (isinstance(node, ast.Raise) and "ValueError" in ast.dump(node))
            or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield))
            or (isinstance(node, ast.Expr) and ast.unparse(node).startswith("problems.append"))
            or (
                module.parent.name == "checks"
                and isinstance(node, ast.Return)
                and isinstance(node.value, ast.JoinedStr)
            )
        )
        if words:
            assert isinstance(node, ast.stmt)
            yield range(node.lineno, (node.end_lineno or node.lineno) + 1)


def test_every_complaint_has_an_example(make_desk: Callable[[], Path]) -> None:
    """Runs all cases and looks which lines were reached."""
    reached: set[tuple[str, int]] = set()
    files = {str(path) for path in MODULES}

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        reached.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    for case in CASES:
        folder = make_desk()
        sys.settrace(trace)
        try:
            mistakes(case, folder)
        finally:
            sys.settrace(before)
    without = [
        f"{path.name} line {lines.start}"
        for path in MODULES
        for lines in complaints(path)
        if not any((str(path), line) in reached for line in lines)
    ]
    assert not without, without
