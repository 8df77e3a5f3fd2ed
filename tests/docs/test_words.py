"""Each thing has one name, in code and in text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TEXT = {".py", ".md", ".sh", ".svg", ".toml", ".txt", ".yaml", ".yml"}
# A word that is not used, and what is.
NAMES = {
    "desk": "project (the folder with inventory.py), cluster, or topology",
    "laptop": "operator in code, this computer in output",
}


def files() -> Iterator[Path]:
    """All texts of the repository."""
    for path in REPOSITORY.rglob("*"):
        inside = path.relative_to(REPOSITORY)
        hidden = any(part.startswith(".") for part in inside.parts)
        if path.suffix in TEXT and not hidden and path.is_file() and path != Path(__file__):
            yield path


@pytest.mark.parametrize(("word", "instead"), NAMES.items())
def test_a_thing_has_no_second_name(word: str, instead: str) -> None:
    """Also as a part of an identifier; not inside another word (desktop)."""
    pattern = re.compile(rf"(?<![a-z]){word}s?(?![a-z])", re.IGNORECASE)
    found = [
        f"{path.relative_to(REPOSITORY)} line {number}: {line.strip()}"
        for path in files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == [], instead


# A phrase that output and pages do not use, and what they say.
PHRASES = {
    r"(run (this|it)|try( it)?) again\b": "run the same command again",
    r"goes on with": "continues with",
    r"\bshall\b|is no [a-z]+ (that|which)|for good|by itself": "plain words",
    r"\b(ours|we)\b": "the one who acts, named",
}


@pytest.mark.parametrize(("phrase", "instead"), PHRASES.items())
def test_one_wording_for_one_thing(phrase: str, instead: str) -> None:
    pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
    found = [
        f"{path.name}: {match[0]}"
        for path in pages
        for match in re.finditer(phrase, " ".join(path.read_text().split()), re.IGNORECASE)
    ]
    assert found == [], instead
