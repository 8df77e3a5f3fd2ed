"""
What facts have in common: a script whose answer is read whole, or not at all.

A login shell may print a greeting before the answer and a farewell after it, and pyinfra cuts what
a node prints at the first byte that is not UTF-8 and calls the fact loaded. So every script prints
a begin marker first and an end marker last: the answer is what stands between them. Without both
the fact is ``None``, not something empty, and operations refuse to decide on it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

from pyinfra.api import FactBase, FactProcessError, QuoteString, StringCommand
from typing_extensions import override

from formats.unreadable import MALFORMED

BEGIN = "-- begin --"
END = "-- end --"

T = TypeVar("T")


class State:
    """What a fact found, as a frozen dataclass of plain values."""

    def to_json(self) -> dict[str, Any]:
        """For ``pyinfra inventory.py fact facts.… --json``."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


class CutShort(FactProcessError):
    """Lines are missing from an answer."""

    def __init__(self) -> None:
        super().__init__("the answer of the node is cut short")


class WholeFact(FactBase[T | None]):
    """
    A fact whose ``command`` is made by ``ask``; ``None`` when it could not be read.

    A subclass has ``parse``, which is given the lines of the answer as arguments, without the end
    marker. Its parameters say how many there have to be: one each, or with ``*rest`` any number
    more. It raises ``CutShort`` when it can only say so itself.
    """

    parse: Callable[..., T]

    @staticmethod
    @override
    def default() -> None:
        return None

    @override
    def process(self, output: list[str]) -> T:
        lines = answer(output)
        try:
            inspect.signature(self.parse).bind(*lines)
        except TypeError:
            raise CutShort from None
        try:
            return self.parse(*lines)
        except MALFORMED as error:  # pyinfra would end the run for every host
            raise FactProcessError(f"the answer of the node is not understood: {error}") from error


def answer(output: list[str]) -> list[str]:
    """
    The lines between the markers.

    + output: all lines that the node printed, those of its login shell included

    ``CutShort`` when a marker is missing.
    """
    try:
        start = output.index(BEGIN) + 1
        return output[start : output.index(END, start)]
    except ValueError:
        raise CutShort from None


def ask(script: str, *arguments: str) -> StringCommand:
    """
    The command of a fact.

    + script: for sh, without a separator at its end; it is put between the two markers
    + arguments: its ``$1`` and so on
    """
    words = [QuoteString(argument) for argument in arguments]
    return StringCommand("sh", "-c", QuoteString(between_markers(script)), "sh", *words)


def between_markers(script: str) -> str:
    """The script with a marker printed before it, on a line of its own, and one behind it."""
    return f"printf '\\n%s\\n' '{BEGIN}'; {script}; echo '{END}'"
