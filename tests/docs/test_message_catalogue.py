"""Codes, their page in the documentation, and the code that uses them agree."""

from __future__ import annotations

import ast
import copy
import pickle
import re
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from formats.unreadable import Unreadable
from messages import Message, Said, catalogue, codes
from messages.__main__ import page

REPOSITORY = Path(__file__).parents[2]
MESSAGES = [message for area in catalogue().values() for message in area]
SAMPLE = Message("""ZZZ001
    {file}: {value!r}
    is odd
    Remedy: Set {name}.
    Meaning: A sample.""")


def test_the_page_is_what_the_definitions_say() -> None:
    assert (REPOSITORY / "docs/messages.md").read_text() == page(), (
        "python -m messages > docs/messages.md"
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ZZZ002\n p {v}", ("p {v}", "", "")),
        ("ZZZ003\n p\n q\n Remedy: r.\n s.", ("p q", "r. s.", "")),
        ("ZZZ004\n p\n Meaning: m.\n n.", ("p", "", "m. n.")),
        ("ZZZ005\n p\n Remedy: r.\n Meaning: m.", ("p", "r.", "m.")),
    ],
)
def test_a_message_is_written_as_one_text(text: str, parts: tuple[str, str, str]) -> None:
    message = Message(text)
    assert (message.code, message.problem, message.remedy, message.meaning) == (text[:6], *parts)


def test_a_message_shows_problem_remedy_and_code() -> None:
    said = SAMPLE(file="a.py", value="x", name="router")
    assert said == "a.py: 'x' is odd. Set router. (ZZZ001)"
    assert codes(f"[node1] {said}\n") == ["ZZZ001"]
    assert said.values["value"] == "x"


def test_a_message_in_a_message_comes_without_its_code() -> None:
    inner = SAMPLE(file="a.py", value="x", name="router")
    assert codes(SAMPLE(file=inner, value=1, name="b")) == ["ZZZ001"]
    assert codes(SAMPLE(file=ValueError(inner), value=1, name="b")) == ["ZZZ001"]


def test_what_a_parser_found_is_not_said_twice() -> None:
    found = Unreadable("no partition table")
    assert found.args[0] == "no partition table (FMT001)"
    assert SAMPLE(file="a.img", value="x", name=found).words.endswith("Set no partition table.")


def test_a_message_survives_copying_and_another_process() -> None:
    said = SAMPLE(file="a.py", value="x", name="router")
    assert isinstance(copy.copy(said), Said)
    assert codes(copy.deepcopy(said)) == ["ZZZ001"]
    assert pickle.loads(pickle.dumps(said)).values == said.values


@pytest.mark.parametrize("values", [{}, {"file": 1}, {"file": 1, "value": 2, "name": 3, "b": 4}])
def test_a_value_that_is_missing_or_too_many_is_an_error(values: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="ZZZ001"):
        SAMPLE(**values)


@pytest.mark.parametrize("code", ["ZZZ001", "zz1", "NETWORK1", ""])
def test_a_code_is_well_formed_and_used_once(code: str) -> None:
    with pytest.raises(ValueError, match="not a code"):
        Message(f"{code}\n    x")


def test_each_area_has_three_letters_of_its_own() -> None:
    areas = [{message.code[:3] for message in area} for area in catalogue().values()]
    assert all(len(letters) == 1 for letters in areas)
    assert len(set().union(*areas)) == len(areas)


def test_every_message_follows_the_form() -> None:
    odd = [
        message.code
        for message in MESSAGES
        if (message.meaning and not message.meaning.endswith("."))
        or message.problem.endswith((".", "?"))
        or (message.remedy and not message.remedy.endswith((".", "}")))
    ]
    assert odd == []


def test_every_message_is_used() -> None:
    """By its name, somewhere outside its own definition."""
    rooms = [path for path in REPOSITORY.glob("*/**/*.py") if path.parts[-2] != "messages"]
    used = {
        name
        for path in [*rooms, REPOSITORY / "config.py"]
        if ".venv" not in path.parts
        for name in re.findall(r"\b[A-Z_0-9]+\b", path.read_text())
    }
    names = [
        name
        for module in (REPOSITORY / "messages").glob("*.py")
        for name in re.findall(r"(?m)^([A-Z_0-9]+) = Message\(", module.read_text())
    ]
    assert len(names) == len(MESSAGES)
    assert [name for name in names if name not in used] == []


def test_every_message_is_given_its_values() -> None:
    """A value that is missing would only be noticed when the message is shown."""
    wrong, seen = [], 0
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.split():
        path = REPOSITORY / name
        if not path.exists():
            continue
        tree = ast.parse(path.read_text())
        areas = {
            alias.asname or alias.name: alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "messages"
            for alias in node.names
        }
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=area), attr=constant)) if (
                    area in areas and constant.isupper()
                ):
                    message = getattr(import_module(f"messages.{areas[area]}"), constant)
                    given = {keyword.arg for keyword in node.keywords}
                    seen += 1
                    if None not in given and given != message.fields:
                        wrong.append(f"{name}:{node.lineno}: {constant} takes {message.fields}")
    assert seen > 100
    assert wrong == []
