"""The check of shell scripts, also those in Python strings."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.shell_scripts import ROOT, faults, scripts

FAULT = 'for f in "$@"; do rm $f; done'  # SC2086: $f is split


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.sh", FAULT),
        ("a", f"#!/bin/sh\n{FAULT}\n"),
        ("a.py", f"def run():\n    ask('''{FAULT}''')\n"),
        ("a.py", "A = 'echo \"$1\"; '\nB = A + 'rm $f'\n"),
        ("a.py", "A = 'rm $f; done'\ndef run(p):\n    sh(f'for f in \"$@\" {p}; do {A}')\n"),
        ("a.py", "A = 'for f in \"$@\"; do %s; rm $f; done' % 3\n"),
        ("a.py", "A = '''run() {{ {x}; for f in \"$@\"; do rm $f; done; }}'''\nA.format(x=1)\n"),
        ("a.py", "from b import A\nB = f'for f in \"$@\"; do {A}; done'\n"),
        ("a.py", "import b\nfrom c import b\nB = f'for f in \"$@\"; do {b.A}; done'\n"),
    ],
)
def test_a_faulty_script_is_found(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "c").mkdir()
    for module in ("b.py", "c/b.py"):
        (tmp_path / module).write_text("A = 'rm $f'\n")
    found = faults(list(scripts(tmp_path, [name])))
    assert len(found) == 1, found
    assert found[0].startswith(f"{name}:")
    assert "(SC2086)" in found[0]


def test_prose_and_patterns_are_no_scripts(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        '"""Costs $1 && more."""\nimport re\nre.compile(r"\\$(a|b")\nA = "Run `sudo a && b $1`."\n'
    )
    assert list(scripts(tmp_path, ["a.py"])) == []


def test_the_scripts_of_the_project_are_found() -> None:
    """Each module of facts that asks a node with a script, and the files of operations."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    files = listed.stdout.split()
    found = {name for name, _, _ in scripts(ROOT, files)}
    asking = {
        name
        for name in files
        if name.startswith("facts/")
        and re.search(r"return ask\(|    script = \(", (ROOT / name).read_text())
    }
    assert len(asking) > 20
    assert asking - found <= {"facts/base.py", "facts/boot.py"}  # which asks; which reads one file
    assert {name for name in files if name.endswith(".sh")} <= found
