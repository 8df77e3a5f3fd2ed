"""Several facts in one execution: the script is run, the answer taken apart."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from pyinfra.api import FactProcessError

from facts import together
from facts.base import BEGIN, END, UnexpectedAnswer, answer, ask
from tests import local_nodes


def run(folder: Path, *scripts: str, sudo: str = local_nodes.SUDO) -> list[str]:
    (folder / "sudo").write_text(sudo)
    (folder / "sudo").chmod(0o755)
    command = together.command([ask(each) for each in scripts])
    done = subprocess.run(
        ["sh", "-c", command.get_raw_value()],
        input=str(command.connector_arguments["_stdin"]),
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="backslashreplace",
        check=True,
    )
    return done.stdout.splitlines()


def test_each_answer_is_that_of_its_own_script(tmp_path: Path) -> None:
    scripts = (
        "cat; echo 'a b'; echo",  # standard input is empty
        "echo one; exit 3; echo two",
        "echo '",  # not a script
        f"echo '{END}'; echo 000:x",
        "printf 'no \\377 text\\n'",
    )
    said = run(tmp_path, *scripts)
    first, second, third, fourth, fifth = together.outputs(["Hi", *said, "Bye"], len(scripts))
    assert answer(first) == ["a b", ""]
    assert END not in second
    assert third == []
    assert fourth[2:] == [END, "000:x", END]
    assert "no " in fifth[2]
    assert list(tmp_path.glob("bramble-facts-*")) == []


def test_a_single_answer_has_its_name_too(tmp_path: Path) -> None:
    assert together.outputs(run(tmp_path, "echo a"), 1)[0][-2:] == ["a", END]


def test_a_script_that_hangs_is_ended_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "SECONDS", 5)
    hangs, answers = together.outputs(run(tmp_path, "echo a; exec sleep 1000", "echo b"), 2)
    assert END not in hangs
    assert answers[-2:] == ["b", END]


def test_what_sudo_says_is_the_answer(tmp_path: Path) -> None:
    sudo = "#!/bin/sh\necho 'We trust you'; echo 'sudo: a password is required' >&2; exit 1\n"
    with pytest.raises(together.SudoFailed, match=r"^sudo: a password is required$"):
        together.outputs(run(tmp_path, "echo a", sudo=sudo), 1)


@pytest.mark.parametrize("line", ["2:a", "a:b", "nothing", "²:a", ":a"])
def test_another_line_is_refused(line: str) -> None:
    with pytest.raises(UnexpectedAnswer):
        together.outputs([BEGIN, line, END], 2)


@pytest.mark.parametrize("lines", [[], [BEGIN], [END], ["000:a"]])
def test_half_an_answer_is_refused(lines: list[str]) -> None:
    with pytest.raises(FactProcessError):
        together.outputs(lines, 1)
