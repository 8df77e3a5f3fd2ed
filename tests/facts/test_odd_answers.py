"""
Every fact, fed what no script of ours prints: it is read, or it is not, and says what is odd.

The answers are those of ``cases``, spoiled: cut, doubled, reordered, in no known encoding, foreign.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyinfra.api import FactProcessError

from facts.base import BEGIN, END, WholeFact

CASES = Path(__file__).parent / "cases"
NAMES = sorted(folder.name for folder in CASES.iterdir())
MISHAPS = ("cut", "drop", "double", "swap", "odd", "insert", "bytes", "half")
FOREIGN = "Grüße vom Knoten: 3 new messages"


@cache
def cases(name: str) -> list[dict[str, Any]]:
    return [
        found
        for path in sorted((CASES / name).glob("*.yaml"))
        if (found := yaml.safe_load(path.read_text()))["output"]
    ]


def read(name: str, case: dict[str, Any], output: list[str]) -> Any:
    """As pyinfra reads it; what is not understood is told by FactProcessError alone."""
    module, _, cls = name.partition(".")
    fact: WholeFact[Any] = getattr(import_module(f"facts.{module}"), cls)()
    arguments = case.get("arg", [])
    if isinstance(arguments, dict):
        fact.command(**arguments)
    else:
        fact.command(*(arguments if isinstance(arguments, list) else [arguments]))
    return fact.process(output)


def why_not(name: str, case: dict[str, Any], output: list[str]) -> str:
    """What is said where it can't be read; "" where it is."""
    try:
        read(name, case, output)
    except FactProcessError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def lines_of(case: dict[str, Any]) -> list[str]:
    output = [str(line) for line in case["output"]]
    return output[output.index(BEGIN) + 1 : output.index(END)]


odd_text = st.one_of(
    st.sampled_from(
        ["", FOREIGN, BEGIN, "\udcfc\udcdf", "-", "=", "|||||", "{}", "[1]", "null", "a b"]
    ),
    st.sampled_from(
        ["9" * 30, "²", "{" * 200, "[" * 5000, "bm8=", "/w==", "e30K", "W10K", "\x1b[31m"]
    ),
    st.text(max_size=20),
)


@st.composite
def spoiled(draw: st.DrawFn, lines: list[str]) -> list[str]:
    """Some lines with a few mishaps."""
    now = list(lines)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(now) - 1, 0)))
        line = now[at] if now else ""
        middle = draw(st.integers(0, len(line)))
        match draw(
            st.sampled_from(["cut", "drop", "double", "swap", "odd", "insert", "bytes", "half"])
        ):
            case "cut":
                now = now[:at]
            case "drop":
                now = now[:at] + now[at + 1 :]
            case "double":
                now = now[: at + 1] + now[at:]
            case "swap":
                now = now[at:] + now[:at]
            case "odd":
                now[at : at + 1] = [draw(odd_text)]
            case "insert":
                now[at:at] = [draw(odd_text)]
            case "bytes":
                now[at : at + 1] = [f"{line[:middle]}\udcff{line[middle:]}"]
            case "half":
                now[at : at + 1] = [line[:middle]]
    return now


@pytest.mark.parametrize("name", NAMES)
def test_whatever_a_node_answers_a_fact_is_read_or_is_not(name: str) -> None:
    @settings(
        max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.data())
    def fed(data: st.DataObject) -> None:
        case = data.draw(st.sampled_from(cases(name)))
        lines = data.draw(spoiled(lines_of(case)))
        output = [*data.draw(st.sampled_from([[], ["Hi"]])), BEGIN, *lines, END]
        said = why_not(name, case, data.draw(st.sampled_from([output, output[:-1], lines])))
        said.encode()  # it can be printed

    fed()


@pytest.mark.parametrize("name", NAMES)
def test_the_first_odd_line_is_named_and_a_secret_one_is_not_shown(name: str) -> None:
    secret = getattr(
        import_module(f"facts.{name.partition('.')[0]}"), name.partition(".")[2]
    ).secret
    for case in cases(name):
        lines = lines_of(case)
        for at in range(len(lines)):
            said = [*lines[:at], FOREIGN, *lines[at + 1 :]]
            why = why_not(name, case, [BEGIN, *said, END])
            assert FOREIGN not in why or not secret
            if why:
                assert f"line {at + 1} of {len(lines)}" in why, (said, why)
                assert secret or FOREIGN in why


@pytest.mark.parametrize("name", NAMES)
def test_what_a_login_shell_says_around_an_answer_is_not_read(name: str) -> None:
    for case in cases(name):
        output = [BEGIN, *lines_of(case), END]
        around = ["Welcome", "\\xfc", "", END, *output, "", "Goodbye", BEGIN]
        try:
            known = read(name, case, output)
        except FactProcessError:
            continue
        again = read(name, case, around)
        assert again == known or name == "clock.Clock"
