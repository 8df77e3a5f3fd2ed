"""The record of a card, and the mark of a half-written one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import card_record, partition_table
from formats.card_record import Record

RECORD = Record("node1", "own.img", "aa", 4096, "bb", "cc", "2026-11-23")


@given(st.builds(Record, size=st.integers(min_value=card_record.HEAD)))
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert card_record.parse(card_record.render(record)) == record


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "{}", card_record.render(RECORD)[:-20], '{"node": "node1"}'],
)
def test_half_a_record_is_none(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own says what is wrong
        card_record.parse(text)


def test_the_mark_names_the_node_and_is_no_partition_table() -> None:
    mark = card_record.mark("node1")
    assert len(mark) == card_record.HEAD
    assert card_record.marked(mark) == "node1"
    assert card_record.marked(bytes(card_record.HEAD)) is None
    with pytest.raises(ValueError, match="no partition table"):
        partition_table.parse(mark)
