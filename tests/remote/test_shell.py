"""What goes to a node's login shell, and what comes back from around a command."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyinfra.api import StringCommand

from facts.base import BEGIN, END, IncompleteAnswer
from remote import shell


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("ab \\'\"!$`~*{}()<>|&;#%^äß", max_size=12), min_size=1, max_size=4))
def test_sh_is_handed_every_line_as_it_is(lines: list[str]) -> None:
    script = "cat <<'END OF IT'\n" + "\n".join(lines) + "\nEND OF IT"
    done = subprocess.run(
        ["sh", "-c", shell.portable(script)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("script", "lines", "status"),
    [
        ("echo a; echo b", ["a", "b"], 0),
        ("printf a", ["a"], 0),
        ("printf 'a\\n\\n'", ["a", ""], 0),
        (":", [], 0),
        ("echo a; exit 3", ["a"], 3),
        ("set -e; echo a; false; echo b", ["a"], 1),
        ("trap 'echo z' EXIT; echo a", ["a", "z"], 0),
    ],
)
def test_a_framed_command_says_and_ends_as_it_did(
    script: str, lines: list[str], status: int
) -> None:
    framed = shell.framed(StringCommand(script)).get_raw_value()
    around = f"printf Hi; {framed.replace('exit $status', 's=$status')}; printf Bye; exit $s"
    done = subprocess.run(["sh", "-c", around], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert shell.within(done.stdout.split("\n")) == lines
    one = shell.framed(StringCommand(script), both=False).get_raw_value()
    said = subprocess.run(["sh", "-c", one], capture_output=True, text=True, check=False).stdout
    assert list(shell.stream_within(["Hi\n", *said.splitlines(keepends=True), "Bye"])) == lines


def test_the_last_word_of_an_error_comes_before_the_marker_behind_it() -> None:
    """Both streams are one on the node: sshd hands two over in an order of its own."""
    framed = shell.framed(StringCommand("echo a; echo 'E: b' >&2; exit 100"), both=False)
    command = ["sh", "-c", framed.get_raw_value()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (100, "")
    assert list(shell.stream_within(done.stdout.splitlines(keepends=True))) == ["a", "E: b"]


def test_a_process_that_a_command_leaves_behind_is_not_waited_for() -> None:
    """It keeps the output open: no line comes, and no end."""

    def said() -> Iterator[str]:
        yield from ["Hi\n", f"{BEGIN}\n", "a\n", "\n", f"{END}\n"]
        pytest.fail("it is waited for")

    assert list(shell.stream_within(said())) == ["a"]


def test_what_a_login_shell_says_in_place_of_the_command_is_kept() -> None:
    said = ["This account is currently not available.\n"]
    assert list(shell.stream_within(said)) == ["This account is currently not available."]
    with pytest.raises(IncompleteAnswer):
        shell.within([BEGIN, "half"])
    assert shell.within([END, BEGIN, "all", END, END]) == ["all"]


def test_bytes_that_are_not_utf_8_are_shown() -> None:
    assert shell.decoded(b"Gr\xfc\xdfe") == "Gr\\xfc\\xdfe"
