"""
Check every shell script with shellcheck: ``python -m tests.shell_scripts``.

Scripts are the files that end in .sh or begin with ``#!/bin/sh``, and the strings in Python code in
which shell syntax stands. Strings are put together from the source alone (``+``, f-strings, ``%``,
names of constants, imported ones too); a value that is known only in a run becomes ``VALUE``.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHELLCHECK = Path(sys.executable).with_name("shellcheck")
VALUE = "VALUE"  # a word that is valid as a command, as an argument and in an assignment

_SYNTAX = re.compile(
    r"\$\(|\"\$|\$[1-9@]|\$\{|; (then|do)\b|\bset -e\b|[<>] ?/dev/null"
    r"|\S \|\| \S|\S && \S|^#!/bin/sh"
)
_SURE = re.compile(r"(^|[; ])[a-z]+=\$\(|\bumask \d|^[a-z]+\(\) ", re.MULTILINE)
# Prose quotes commands in backquotes, which few scripts use; the rest is what has signs of the
# shell too: units of systemd, nginx's configuration, Python, iptables-save, a pod's arguments,
# interfaces(5).
_NO_SCRIPT = re.compile(
    r"`|, then |; then end |: sudo |^Your |^Exec\w+=|^def |^\w+ = |^by_hand\(|^-A |^--"
    r"|^\$\(echo|^source |<<\. \||^events \{|^ *location @",
    re.MULTILINE,
)
_PROSE_TAKER = re.compile(r"re\.|Message$")  # functions that take patterns or prose
_SHORT = 60  # characters: a test's single command, on values that the test has chosen

# Most strings are a part of a script, while these rules are about a whole one …
EXCLUDED = {
    "SC2034": "another part reads the variable",
    "SC2154": "another part sets the variable",
    "SC2148": "sh -c runs a string, which needs no #!",
    "SC1091": "the sourced file exists only on a node",
    "SC2329": "the function is called by a name in a variable, or by another part",
    "SC2043": "VALUE stands for a list",
    "SC2013": "the lines are single words",
    "SC2010": "the names that ls prints are our own",
    # … and these are about style.
    "SC2005": 'echo "$(command)" prints one line even if the command prints none',
    "SC2015": "in A && B || C, C is to run if B fails too",
    "SC2016": "single quotes keep $ for an inner sh, sed or awk",
    "SC2174": "mkdir -p -m: the parents exist",
}

Script = tuple[str, int, str]


def scripts(root: Path, files: list[str]) -> Iterator[Script]:
    """
    Find the shell scripts in files.

    + files: paths relative to ``root``
    + returns: of each its file, the line where it begins, and its text
    """
    for name in files:
        path = root / name
        if path.suffix == ".py":
            yield from ((name, line, text) for line, text in _in_python(path, root))
        elif path.suffix == ".sh" or path.read_bytes().startswith(b"#!/bin/sh"):
            yield name, 1, path.read_text()


def faults(found: list[Script]) -> list[str]:
    """Run shellcheck on scripts and describe what it finds, a line each."""
    with tempfile.TemporaryDirectory() as directory:
        for number, (_, _, text) in enumerate(found):
            Path(directory, str(number)).write_text(text)
        names = [str(number) for number in range(len(found))]
        options = ["-s", "sh", "-f", "json", "-e", ",".join(EXCLUDED)]
        command = [str(SHELLCHECK), "--norc", *options, *names]
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"shellcheck: {done.stderr}")
    lines = []
    for each in json.loads(done.stdout):
        name, line, text = found[int(each["file"])]
        code = f"{text}\n".split("\n")[each["line"] - 1]
        lines.append(
            f"{name}:{line}: line {each['line']} of the script: {each['message']}"
            f" (SC{each['code']})\n    {code}"
        )
    return lines


def _in_python(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    module = _module(path, root)
    in_test = "tests" in path.relative_to(root).parts
    documentation = {
        id(statement.value)
        for statement in ast.walk(module.tree)
        if isinstance(statement, ast.Expr)
    }
    for node in _outermost(module.tree):
        text = module.text(node)
        if (
            text
            and id(node) not in documentation
            and (_SURE.search(text) or (_SYNTAX.search(text) and not _NO_SCRIPT.search(text)))
            and not (in_test and len(text) < _SHORT)
        ):
            yield getattr(node, "lineno", 1), text


def _outermost(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield the string expressions that are no part of another one."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.JoinedStr | ast.BinOp) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str)
        ):
            yield node
            for inner in ast.walk(node):
                if isinstance(inner, ast.Call):
                    yield from _outermost(inner)
        elif not (isinstance(node, ast.Call) and _PROSE_TAKER.match(ast.unparse(node.func))):
            yield from _outermost(node)


class _Module:
    """A module's source, and the constants at its top."""

    def __init__(self, path: Path, root: Path) -> None:
        self.root = root
        self.tree = ast.parse(path.read_text())
        self.constants: dict[str, ast.expr] = {}
        self.imported: dict[str, tuple[str, str]] = {}  # name here -> module, name there
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self.constants[node.targets[0].id] = node.value
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    self.imported[alias.asname or alias.name] = (node.module, alias.name)
        templates = (  # ``TEXT.format(...)``
            node.value
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Attribute) and node.attr == "format"
        )
        self.templates = {
            id(self.constants.get(each.id) if isinstance(each, ast.Name) else each)
            for each in templates
        }

    def text(self, node: ast.expr) -> str:
        """The value of a string expression, with ``VALUE`` for what only a run knows."""
        return _filled(self._text(node)) if id(node) in self.templates else self._text(node)

    def _text(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=str() | int() as value):
                return str(value)
            case ast.JoinedStr(values=parts):
                return "".join(map(self.text, parts))
            case ast.FormattedValue(value=value):
                return self.text(value)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self.text(left) + self.text(right)
            case ast.BinOp(left=left, op=ast.Mod()):
                return re.sub(r"%[sd]", VALUE, self.text(left)).replace("%%", "%")
            case ast.Name(id=name) if name in self.constants:
                return self.text(self.constants[name])
            case ast.Name(id=name) if name in self.imported:
                module, there = self.imported[name]
                return _constant(self.root, module, there)
            case ast.Attribute(value=ast.Name(id=name), attr=there) if name in self.imported:
                return _constant(self.root, ".".join(self.imported[name]), there)
        return VALUE


@cache
def _module(path: Path, root: Path) -> _Module:
    return _Module(path, root)


def _filled(template: str) -> str:
    plain = template.replace("{{", "\0").replace("}}", "\1")
    return re.sub(r"\{[a-z_]*\}", VALUE, plain).replace("\0", "{").replace("\1", "}")


def _constant(root: Path, module: str, name: str) -> str:
    path = root.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.exists():
            return _module(file, root).text(ast.Name(id=name))
    return VALUE


def main() -> int:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    found = list(scripts(ROOT, files))
    wrong = faults(found)
    print(*wrong, f"{len(found)} shell scripts, {len(wrong)} faults", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
