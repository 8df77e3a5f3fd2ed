"""
The one error of all parsers in formats/ for a text that is not what it should be.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

# What reading into a value of an unexpected form raises.
MALFORMED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class Unreadable(ValueError):
    """This text can't be read; the message says why, in one line."""


@contextmanager
def reading(problem: str) -> Iterator[None]:
    """
    Read a document as if it had the expected form; ``Unreadable`` where it has not.

    + problem: the error's message
    """
    try:
        yield
    except Unreadable:
        raise
    except MALFORMED as error:
        raise Unreadable(problem) from error
