"""The error of all parsers in formats/ for a text that is not what it should be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from messages import Said
from messages.formats import UNEXPECTED

# What reading a value of an unexpected form raises.
MALFORMED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class Unreadable(ValueError):
    """
    The text can't be read.

    + reason: in one line; or a message of its own
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason if isinstance(reason, Said) else UNEXPECTED(reason=reason))


@contextmanager
def reading(reason: str) -> Iterator[None]:
    """
    Read a document as if it had the expected form; ``Unreadable`` where it has not.

    + reason: the error's
    """
    try:
        yield
    except Unreadable:
        raise
    except MALFORMED as error:
        raise Unreadable(reason) from error
