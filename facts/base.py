"""
What facts have in common: a script whose answer is read whole, or not at all.

A login shell may print a greeting before the answer and a farewell after it, and pyinfra calls a
fact loaded whatever the node has printed. So every script prints a begin marker first and an end
marker last: the answer is what stands between them. An answer without both, or one that is not
understood, makes the fact ``None``, not something empty, and operations refuse to decide on it.
"""

from __future__ import annotations

import inspect
import json
import linecache
import re
from base64 import b64decode
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from traceback import walk_tb
from typing import Any, ClassVar, TypeVar

from pyinfra.api import FactBase, FactProcessError, QuoteString, StringCommand
from typing_extensions import override

BEGIN = "-- begin --"
END = "-- end --"
# Of every script on a node: programs then say what they say in every other place of the world.
LOCALE = "LC_ALL=C"
SHOWN = 100  # characters of an odd line

T = TypeVar("T")


class State:
    """What a fact found, as a frozen dataclass of plain values."""

    def to_json(self) -> dict[str, Any]:
        """For ``pyinfra inventory.py fact facts.… --json``."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


class CutShort(FactProcessError):
    """Lines are missing from an answer."""

    def __init__(self, what: str = "") -> None:
        super().__init__(f"the answer of the node is cut short{what and f': {what}'}")


class Odd(FactProcessError):
    """A line of an answer is not what was asked for."""


class OddLine(ValueError):
    """To be raised by ``parse`` for a line that it does not understand."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self.line = line


class WholeFact(FactBase[T | None]):
    """
    A fact whose ``command`` is made by ``ask``; ``None`` when it could not be read.

    A subclass has ``parse``, which is given the lines of the answer as arguments, without the
    markers. Its parameters say how many there have to be: one each, or with ``*rest`` any number
    more. Whatever it raises makes the fact unread, with the first line that it stumbled over.

    + secret: whether there may be a secret in the answer: none of its lines is shown then
    """

    parse: Callable[..., T]
    secret: ClassVar[bool] = False

    @staticmethod
    @override
    def default() -> None:
        return None

    @override
    def process(self, output: list[str]) -> T:
        lines = self._answer(output)
        least, most = _counts(self.parse)
        if len(lines) < least:
            last = f" after {self._shown(lines, len(lines) - 1)}" if lines else ""
            raise CutShort(f"{len(lines)} lines instead of {least}{last}")
        try:
            value = self.parse(*lines[:most])
        except FactProcessError:
            raise
        except Exception as error:
            # pyinfra would show the cause in place of this.
            raise self._odd(lines, _at(lines, error), error) from None
        if most is not None and len(lines) > most:
            raise self._odd(lines, most)
        return value

    def _answer(self, output: list[str]) -> list[str]:
        try:
            return answer(output)
        except CutShort:
            said = [line for line in output if line.strip() and line != BEGIN]
            if not said or self.secret:
                raise
            which = said[-1] if BEGIN in output else said[0]
            raise CutShort(f"it {'ends' if BEGIN in output else 'says'} {quoted(which)}") from None

    def _shown(self, lines: Sequence[str], at: int) -> str:
        """A line for a person: in quotes, or, where it may be a secret, its number alone."""
        number = f"line {at + 1} of {len(lines)}"
        return (
            f"{number} (not shown: there may be a secret in it)"
            if self.secret
            else (f"{number}, {quoted(lines[at])}")
        )

    def _odd(self, lines: Sequence[str], at: int | None, error: Exception | None = None) -> Odd:
        if at is None:
            said = f": {error}" if str(error) and not self.secret else ""
            return Odd(f"the answer of the node is odd ({type(error).__name__}{said[:SHOWN]})")
        return Odd(f"the answer of the node is odd: {self._shown(lines, at)}")


def quoted(line: str) -> str:
    """A line in quotes, without signs that a terminal would obey, and not too long."""
    shown = repr(line[:SHOWN])
    return f"{shown} …" if len(line) > SHOWN else shown


def _counts(parse: Callable[..., Any]) -> tuple[int, int | None]:
    """How many lines it wants at least, and at most (None: any number)."""
    parameters = inspect.signature(parse).parameters.values()
    single = [each for each in parameters if each.kind is not each.VAR_POSITIONAL]
    least = sum(each.default is each.empty for each in single)
    return least, len(single) if len(single) == len(parameters) else None


def _at(lines: Sequence[str], error: Exception) -> int | None:
    """
    Which line an exception is about: the one that it names, or that the code which raised it had in
    hand, the innermost function first, and of it what the failing line of code names.
    """
    if isinstance(error, OddLine):
        wholly = [at for at, line in enumerate(lines) if line == error.line]
        partly = [at for at, line in enumerate(lines) if error.line and error.line in line]
        if wholly or partly:
            return (wholly or partly)[0]
    for frame, place in reversed(list(walk_tb(error.__traceback__))):
        texts = {name: held for name, held in frame.f_locals.items() if isinstance(held, str)}
        code = linecache.getline(frame.f_code.co_filename, place, frame.f_globals)
        named = [texts[word] for word in re.findall(r"\w+", code) if word in texts]
        for held in (named, list(texts.values())):
            for at, line in enumerate(lines):
                if any(line is text for text in held):
                    return at
    return None


# --- reading a line: each of them raises OddLine --------------------------------------------------


def one_of(line: str, *words: str) -> str:
    """A line that is one of these words."""
    if line not in words:
        raise OddLine(line)
    return line


def words_of(line: str, known: Collection[str]) -> list[str]:
    """Words with spaces between them, each one of those that are known."""
    words = line.split()
    if not set(words) <= set(known):
        raise OddLine(line)
    return words


def number(line: str) -> int:
    """Digits, and a sign before them if need be."""
    if not re.fullmatch(r"-?[0-9]{1,18}", line):
        raise OddLine(line)
    return int(line)


def raw(text: str) -> bytes:
    """What stands in base64."""
    try:
        return b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise OddLine(text) from None


def text_of(text: str, errors: str = "surrogateescape") -> str:
    """What stands in base64, as text; ``errors`` as in ``bytes.decode``."""
    return raw(text).decode("utf-8", errors)


def data_of(*lines: str) -> Any:
    """What stands in JSON; None when there is nothing."""
    try:
        return json.loads("\n".join(lines)) if any(lines) else None
    except json.JSONDecodeError as error:
        raise OddLine(lines[min(error.lineno, len(lines)) - 1]) from None
    except RecursionError:
        raise OddLine(max(lines, key=len)) from None


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
