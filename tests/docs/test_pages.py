"""The pages agree with each other and with the code: links, paths, checks, settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Each link of a page to another file here, or to a heading."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not re.match("[a-z]+:", target):
            file, _, heading = target.partition("#")
            yield (page.parent / file).resolve() if file else page, heading


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    found = re.findall(r"(?m)^#+ (.+)$", page.read_text())
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for file, heading in links(page):
        assert file.exists(), file
        assert not heading or heading in headings(file), f"{file.name}#{heading}"


def test_every_page_is_reached_from_the_readme() -> None:
    found, left = set(), [REPOSITORY / "README.md"]
    while left:
        page = left.pop()
        if page not in found and page.suffix == ".md":
            found.add(page)
            left += [file for file, _ in links(page)]
    assert set(PAGES) <= found, set(PAGES) - found


def test_every_file_that_code_or_a_message_names_exists() -> None:
    for room in ("settings", "operations", "messages", "lab", "report", "group_data", "facts"):
        for file in (REPOSITORY / room).rglob("*"):
            if file.suffix in (".py", ".sh"):
                for name in re.findall(r"\bdocs/[\w-]+\.md", file.read_text()):
                    assert (REPOSITORY / name).exists(), f"{file}: {name}"


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_every_path_that_contributors_are_shown_exists(page: str) -> None:
    shown = re.findall(r"`([\w.-]+/[\w./-]*|\w+\.py)`", (REPOSITORY / page).read_text())
    missing = {
        path
        for path in shown
        if not path.startswith(".")
        and not (REPOSITORY / path).exists()
        and ("/" in path or not any(REPOSITORY.glob(f"[a-z]*/{path}")))
    }
    assert len(shown) > 10
    assert missing == set()


def test_the_page_on_preflight_has_a_row_for_every_check() -> None:
    code = (REPOSITORY / "operations/preflight/checks.py").read_text()
    checks = set(re.findall(r'(?m)^    "([^"]+)": \w', code)) | {"sudo"}
    text = (REPOSITORY / "docs/preflight.md").read_text()
    table = text[text.index("| row |") : text.index("## The firewall")]
    rows = {row for cell in re.findall(r"(?m)^\| ([^|]+) \|", table) for row in cell.split(", ")}
    assert len(checks) > 20
    assert rows - {"row", "---"} == checks


def test_the_page_on_verify_has_every_check() -> None:
    checks = {
        name
        for file in (REPOSITORY / "tests/cluster").glob("test_*.py")
        for name in re.findall(
            r'(?ms)^def test_\w+\(.*?\) -> None:\n    """(.+?)"""', file.read_text()
        )
    }
    text = (REPOSITORY / "docs/verify.md").read_text()
    table = text[text.index("| rows |") : text.index("`make verify ARGS=--no-pods`")]
    rows = {row for cell in re.findall(r"(?m)^\| ([^|]+) \|", table) for row in cell.split("; ")}
    assert len(checks) > 30
    assert rows - {"rows", "---"} == checks - {"reboot"}


def test_every_setting_is_in_the_readme_and_has_a_comment() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    text = (REPOSITORY / "group_data/all.py").read_text()
    text = text[: text.index("# --- pyinfra's connection")]
    settings = re.findall(r"(?m)^([a-z_]+)(?::[^=\n]+)? = ", text)
    assert len(settings) > 50
    assert [name for name in settings if f"`{name}`" not in readme] == []
    # A comment holds for the settings that follow it without an empty line.
    blocks = [
        block.strip() for block in text.split("\n\n") if re.search(r"(?m)^[a-z_]+.* = ", block)
    ]
    assert [block for block in blocks if not block.startswith("#")] == []
    assert [block for block in blocks if "Default" not in block] == []


def test_the_comment_of_every_setting_names_its_default() -> None:
    """A comment may stand over several settings that belong together."""
    text = (REPOSITORY / "group_data/all.py").read_text().split("# --- pyinfra's connection")[0]
    comment, without = "", []
    for block in re.findall(r"(?m)^#(?! ---).*(?:\n#.*)*|^\w+(?=(?:: .+)? = )", text):
        comment = block if block.startswith("#") else comment
        if not block.startswith("#") and not re.search(r"\bDefaults?\b", comment):
            without.append(block)
    assert without == []
