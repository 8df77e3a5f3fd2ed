"""What `make test` promises of itself: no skips, and as much at once as there is room for."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from lab import capacity
from tests import suite
from tests.conftest import NOT_SKIPPED

TESTS = Path(__file__).parents[1]

# All but the checks of a real cluster, to which other rules apply.
OURS = [file for file in TESTS.rglob("*.py") if not file.is_relative_to(TESTS / "cluster")]

SKIPPING = """import pytest
@pytest.mark.skipif(True, reason="a tool is missing")
def test_marked(): pass
def test_called(): pytest.skip("busy")
@pytest.fixture
def lab(): pytest.skip("no root")
def test_in_a_fixture(lab): pass
@pytest.mark.xfail
def test_known_to_fail(): assert False
"""


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A folder of tests under the rules that hold for all."""
    shutil.copy(TESTS / "conftest.py", tmp_path)
    return tmp_path


@pytest.mark.parametrize("processes", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_a_skip_is_a_failure_with_its_reason(room: Path, processes: tuple[str, ...]) -> None:
    (room / "test_skips.py").write_text(SKIPPING)
    done = run_pytest(room, *processes)
    assert done.returncode == 1, done.stdout
    assert "skipped," not in done.stdout.splitlines()[-1]
    for reason in ("a tool is missing", "busy", "no root"):
        assert f"{NOT_SKIPPED}: {reason}" in done.stdout
    assert "1 xfailed" in done.stdout.splitlines()[-1]


def test_a_file_that_skips_itself_is_a_failure_too(room: Path) -> None:
    (room / "test_it.py").write_text(
        "import pytest\npytest.importorskip('no_such_module')\ndef test_it(): pass\n"
    )
    done = run_pytest(room)
    assert done.returncode != 0
    assert "no_such_module" in done.stdout
    assert "1 error" in done.stdout


def test_checks_of_a_cluster_may_find_nothing_to_look_at(room: Path) -> None:
    (room / "cluster").mkdir()
    (room / "cluster" / "test_it.py").write_text(SKIPPING)
    assert "3 skipped, 1 xfailed" in run_pytest(room, "cluster").stdout


def test_a_long_run_says_what_it_is_at(room: Path) -> None:
    (room / "test_it.py").write_text("def test_a(): pass\ndef test_b(): assert False\n")
    said = run_pytest(room, "--progress").stdout
    assert re.findall(r"(?m)^ +\d+:\d\d  (.*)$", said) == [
        "1 of 2: test_it.py::test_a",
        "2 of 2: test_it.py::test_b",
        "FAILED: test_it.py::test_b",
    ]
    assert said.count("test_it.py:2: AssertionError") == 2, "at once, and at the end"
    assert "1 failed, 1 passed" in said.splitlines()[-1]


def attributes(file: Path) -> Iterator[str]:
    """All `name.attribute`s in a file, whether called or not."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def test_no_test_skips_itself() -> None:
    marks = {"pytest.mark.skipif", "pytest.mark.skip", "pytest.mark.xfail"}
    skips = marks | {"pytest.skip", "pytest.xfail", "pytest.importorskip"}
    assert {str(file): found for file in OURS if (found := skips & set(attributes(file)))} == {}


def test_no_test_counts_seconds() -> None:
    """It waits for events (`lab.waiting.until`); what must be fast is measured by `make bench`."""
    counts = {"time.sleep", "time.monotonic", "time.perf_counter", "os.getloadavg"}
    show_a_person = {"conftest.py", "suite.py", "__main__.py", "pairs.py"}
    found = {
        file.name: its
        for file in OURS
        if (its := counts & set(attributes(file))) and file.name not in show_a_person
    }
    # Where the clock is what is looked at: it must not be moved; a stand-in for the module; and
    # what runs in a node's root file system, where the helper is not.
    assert found == {
        "test_kubeadm.py": {"time.monotonic"},
        "test_lab_itself.py": {"time.monotonic"},
        "readers_inside.py": {"time.sleep"},
    }


def at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """What runs when a file is imported, in loops and conditions too."""
    for statement in body:
        yield statement
        if not isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            for part in ("body", "orelse"):
                yield from at_import(getattr(statement, part, []))


def test_no_test_needs_what_another_file_has_changed() -> None:
    """What tests of several files need stands in a fixture, or in their conftest.py."""
    found = {
        f"{file.name}: {ast.unparse(target)}"
        for file in OURS
        if file.name != "conftest.py"
        for statement in at_import(ast.parse(file.read_text()).body)
        for target in (statement.targets if isinstance(statement, ast.Assign) else ())
        if isinstance(target, ast.Attribute)
    }
    assert found == set()


def test_every_folder_of_tests_is_in_a_part_of_make_test() -> None:
    parts = {word for part in chain(*suite.PARTS["test"]) for word in part.arguments}
    folders = {file.parent for file in TESTS.rglob("test_*.py")} - {TESTS / "cluster"}
    assert {f"tests/{folder.relative_to(TESTS)}" for folder in folders} <= parts


def test_what_one_part_of_the_labs_tests_leaves_out_the_other_has() -> None:
    def marks(name: str) -> list[str]:
        found = [
            part.arguments for part in chain(*suite.PARTS[name]) if "tests/lab" in part.arguments
        ]
        return [words[words.index("-m") + 1] for words in found]

    assert marks("test") == ["not (slow or long)"]
    assert marks("test-slow") == ["slow and not long"]
    assert marks("test-long") == ["long"]


def test_no_two_files_call_their_labs_alike() -> None:
    """Which files share a process, and thus the labs of a session, is chance."""
    names = [
        (name.value, file.name)
        for file in sorted((TESTS / "lab").glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"new_lab", "older"}
        for name in node.args[:2]
        if isinstance(name, ast.Constant) and isinstance(name.value, str)
    ]
    assert len(names) > 20
    assert [name for name in names if [other for other, _ in names].count(name[0]) > 1] == []


@pytest.mark.parametrize(
    ("processors", "idle", "memory_mb", "labs"),
    [
        (2, 1.0, 16_000, 4),
        (2, 0.95, 16_000, 3),
        (2, 0.5, 16_000, 3),
        (2, 0.0, 16_000, 2),
        (8, 1.0, 32_000, 14),
        (8, 1.0, 4_000, 3),
        (1, 0.0, 300, 1),
    ],
)
def test_the_number_of_labs_follows_from_what_is_free(
    processors: float, idle: float, memory_mb: float, labs: int
) -> None:
    assert capacity.labs(processors, idle, memory_mb) == labs


def test_this_machine_has_room_for_a_lab() -> None:
    assert 0 <= capacity.idle(0.1) <= 1
    assert capacity.processors() > 0
    assert capacity.available_mb() > 0
