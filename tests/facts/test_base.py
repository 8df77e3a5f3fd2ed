"""What a fact that knows nothing of odd lines says of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pyinfra.api import FactProcessError

from facts.base import BEGIN, END, SHOWN, WholeFact


class Numbers(WholeFact[list[int]]):
    def parse(self, *lines: str) -> list[int]:
        return [int(line) for line in lines]


class Fields(WholeFact[tuple[Any, ...]]):
    def parse(self, first: str, second: str, third: str = "{}", *rest: str) -> tuple[Any, ...]:
        number = int(second)
        left, right = first.split("=")
        return number, left, right, json.loads(third)["a"] if third != "{}" else None


class Secret(Numbers):
    secret = True


def said(fact: WholeFact[Any], *lines: str) -> str:
    with pytest.raises(FactProcessError) as raised:
        fact.process(["Hi", BEGIN, *lines, END])
    assert raised.value.__cause__ is None  # pyinfra would show that
    return str(raised.value)


def test_the_first_line_that_is_not_understood_is_named() -> None:
    assert said(Numbers(), "1", "two", "3", "four").endswith("line 2 of 4, 'two'")
    assert said(Fields(), "a=b", "two").endswith("line 2 of 2, 'two'")
    assert said(Fields(), "a", "2").endswith("line 1 of 2, 'a'")
    assert said(Fields(), "a=b", "2", "{]").endswith("line 3 of 3, '{]'")
    assert said(Fields(), "a=b", "2", "[1]").endswith("line 3 of 3, '[1]'")


def test_a_line_is_shown_without_what_a_terminal_obeys_and_not_whole() -> None:
    assert "'\\x1b[31m\\udcff'" in said(Numbers(), "\x1b[31m\udcff")
    assert len(said(Numbers(), "x" * 5000)) < SHOWN + 100


def test_no_line_of_a_fact_that_reads_secrets_is_shown() -> None:
    assert "hunter2" not in (text := said(Secret(), "1", "hunter2"))
    assert "line 2 of 2" in text
    with pytest.raises(FactProcessError) as raised:
        Secret().process([BEGIN, "hunter2"])
    assert "hunter2" not in str(raised.value)


def test_lines_that_are_missing_are_counted() -> None:
    assert said(Fields(), "a=b").endswith(
        "incomplete: 1 lines instead of 2 after line 1 of 1, 'a=b'"
    )


def test_what_a_node_says_in_place_of_an_answer_is_named() -> None:
    with pytest.raises(FactProcessError, match="This account is not available"):
        Numbers().process(["This account is not available.", ""])
    with pytest.raises(FactProcessError, match="it ends '2'"):
        Numbers().process(["Hi", BEGIN, "1", "2"])
