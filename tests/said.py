"""Compare a message, or the error that was raised with it, by its code and values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from messages import Said


def says(said: object, expected: str) -> bool:
    """
    Whether the message has the code, and each text is in one of its values.

    + said: the message, or an exception that was raised with it
    + expected: "SET090 node1 & 192.168.2.11"; a code alone is enough
    """
    if isinstance(said, BaseException):
        said = said.args[0]
    assert isinstance(said, Said), said
    code, _, texts = expected.partition(" ")
    assert said.message.code == code, said
    assert "\n" not in said
    for text in texts.split(" & "):
        assert not text or any(text in str(value) for value in said.values.values()), said
    return True


@contextmanager
def saying(expected: str, error: type[Exception] = ValueError) -> Iterator[None]:
    """Expect an error that was raised with this message (see ``says``)."""
    with pytest.raises(error) as caught:
        yield
    assert says(caught.value, expected)
