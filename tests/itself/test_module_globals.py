"""No module of the product has globals that change in a run: they hang on pyinfra's State."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
ROOMS = (
    "deploys", "facts", "formats", "messages", "operations", "remote", "report", "runs",
    "settings", "workstation",
)  # fmt: skip
# Filled while the package is imported, and never after.
WHILE_IMPORTED = {"messages/__init__.py: _CATALOGUE"}


def changing(tree: ast.Module) -> Iterator[str]:
    """Find names that begin empty, to be filled later, and those that a function assigns."""
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if ast.unparse(node.value) in ("{}", "[]") or (
                isinstance(node.value, ast.Call)
                and not (node.value.args or node.value.keywords)
                and ast.unparse(node.value.func).rpartition(".")[2]
                in ("dict", "list", "set", "defaultdict", "deque", "Counter", "WeakKeyDictionary")
            ):
                yield from map(ast.unparse, targets)
    for inner in ast.walk(tree):
        if isinstance(inner, ast.Global):
            yield from inner.names


def test_what_changes_is_found() -> None:
    text = "a = {}\nb: list[int] = []\nc = weakref.WeakKeyDictionary()\nd = {1: 2}\ne = 0\n"
    assert list(changing(ast.parse(f"{text}def f():\n  global e\n  e = 1\n"))) == list("abce")


def test_no_module_has_state() -> None:
    files = [path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py")]
    found = {
        f"{path.relative_to(REPOSITORY)}: {name}"
        for path in files
        for name in changing(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert len(files) > 150
    assert found == WHILE_IMPORTED
