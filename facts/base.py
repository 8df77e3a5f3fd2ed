"""
What all facts share: a script whose answer is read completely, or not at all.

A login shell may print a greeting before the answer and something after it, and pyinfra calls a
fact loaded whatever the node has printed. So every script prints a begin marker first and an end
marker last: the answer stands between them. An answer without both, or with a line that ``parse``
does not understand, makes the fact ``None``, and operations fail the host on ``None``.
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
# For every script on a node: the output of programs is the same in every language.
LOCALE = "LC_ALL=C"
SHOWN = 100  # characters of an unexpected line

T = TypeVar("T")


class State:
    """The value of a fact: a frozen dataclass of plain values."""

    def to_json(self) -> dict[str, Any]:
        """For ``pyinfra inventory.py fact facts.… --json``."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


class IncompleteAnswer(FactProcessError):
    """Lines are missing in an answer."""

    def __init__(self, what: str = "") -> None:
        super().__init__(f"the answer is incomplete{what and f': {what}'}")


class UnexpectedAnswer(FactProcessError):
    """A line of an answer is not understood."""


class UnexpectedLine(ValueError):
    """Raised by ``parse`` for a line that it does not understand."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self.line = line


class WholeFact(FactBase[T | None]):
    """
    A fact whose ``command`` is made by ``ask``; ``None`` when it could not be read.

    A subclass has ``parse``, which gets the lines of the answer as arguments, without the markers.
    Its parameters set how many lines there must be: one each, and with ``*rest`` any number more.
    Whatever it raises makes the fact ``None``; the message names the first line that it failed on.

    + script: of a fact that takes no arguments: for sh, with the script's own arguments behind it
    + secret: whether the answer may contain a secret: none of its lines is shown then
    """

    script: ClassVar[tuple[str, ...]]
    parse: Callable[..., T]
    secret: ClassVar[bool] = False

    @staticmethod
    @override
    def default() -> None:
        return None

    @override
    def command(self, *arguments: Any, **named: Any) -> StringCommand:
        return ask(*self.script)

    @classmethod
    def at_once(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        """
        The arguments with which the node does not wait for anything, to be asked beforehand.

        + arguments: those of ``command``
        """
        return arguments

    @classmethod
    def is_settled(cls, value: T) -> bool:
        """Whether a value that was not waited for is the same as one that was."""
        return True

    @classmethod
    def at_once_with(cls, several: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        """
        The arguments whose answer is good for all of these; None: each has its own answer.

        + several: those of ``command``, each
        """
        return None

    @override
    def process(self, output: list[str]) -> T:
        lines = self._answer(output)
        least, most = _counts(self.parse)
        if len(lines) < least:
            last = f" after {self._shown(lines, len(lines) - 1)}" if lines else ""
            raise IncompleteAnswer(f"{len(lines)} lines instead of {least}{last}")
        try:
            value = self.parse(*lines[:most])
        except FactProcessError:
            raise
        except Exception as error:
            # Without a cause: pyinfra would show that instead.
            raise self._unexpected(lines, _at(lines, error), error) from None
        if most is not None and len(lines) > most:
            raise self._unexpected(lines, most)
        return value

    def _answer(self, output: list[str]) -> list[str]:
        try:
            return answer(output)
        except IncompleteAnswer:
            said = [line for line in output if line.strip() and line != BEGIN]
            if not said or self.secret:
                raise
            which = said[-1] if BEGIN in output else said[0]
            raise IncompleteAnswer(
                f"it {'ends' if BEGIN in output else 'says'} {quoted(which)}"
            ) from None

    def _shown(self, lines: Sequence[str], at: int) -> str:
        """The number of a line, and its text if it can't be a secret."""
        number = f"line {at + 1} of {len(lines)}"
        return (
            f"{number} (not shown: it may contain a secret)"
            if self.secret
            else (f"{number}, {quoted(lines[at])}")
        )

    def _unexpected(
        self, lines: Sequence[str], at: int | None, error: Exception | None = None
    ) -> UnexpectedAnswer:
        if at is None:
            said = f": {error}" if str(error) and not self.secret else ""
            kind = type(error).__name__
            return UnexpectedAnswer(f"the answer is not understood ({kind}{said[:SHOWN]})")
        return UnexpectedAnswer(f"the answer is not understood: {self._shown(lines, at)}")


def quoted(line: str) -> str:
    """A line in quotes, without control characters, shortened."""
    shown = repr(line[:SHOWN])
    return f"{shown} …" if len(line) > SHOWN else shown


def _counts(parse: Callable[..., Any]) -> tuple[int, int | None]:
    """How many lines ``parse`` needs, and how many it takes (None: any number)."""
    parameters = inspect.signature(parse).parameters.values()
    single = [each for each in parameters if each.kind is not each.VAR_POSITIONAL]
    least = sum(each.default is each.empty for each in single)
    return least, len(single) if len(single) == len(parameters) else None


def _at(lines: Sequence[str], error: Exception) -> int | None:
    """
    Find the line that an exception is about: the one that it names, else the one in a local
    variable of the code that raised it; innermost function first, variables of the failing line
    first.
    """
    if isinstance(error, UnexpectedLine):
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


# --- parsing a line: each of them raises UnexpectedLine -----------------------------------------


def one_of(line: str, *words: str) -> str:
    """Parse a line that is one of these words."""
    if line not in words:
        raise UnexpectedLine(line)
    return line


def words_of(line: str, known: Collection[str]) -> list[str]:
    """Parse words with spaces between them, all of them known."""
    words = line.split()
    if not set(words) <= set(known):
        raise UnexpectedLine(line)
    return words


def number(line: str) -> int:
    """Parse an integer."""
    if not re.fullmatch(r"-?[0-9]{1,18}", line):
        raise UnexpectedLine(line)
    return int(line)


def raw(text: str) -> bytes:
    """Decode base64 to bytes."""
    try:
        return b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise UnexpectedLine(text) from None


def text_of(text: str, errors: str = "surrogateescape") -> str:
    """Decode base64 to text; ``errors`` as in ``bytes.decode``."""
    return raw(text).decode("utf-8", errors)


def data_of(*lines: str) -> Any:
    """Parse JSON; None for nothing."""
    try:
        return json.loads("\n".join(lines)) if any(lines) else None
    except json.JSONDecodeError as error:
        raise UnexpectedLine(lines[min(error.lineno, len(lines)) - 1]) from None
    except RecursionError:
        raise UnexpectedLine(max(lines, key=len)) from None


def answer(output: list[str]) -> list[str]:
    """
    Return the lines between the markers.

    + output: all lines that the node printed, those of its login shell included

    ``IncompleteAnswer`` when a marker is missing.
    """
    try:
        start = output.index(BEGIN) + 1
        return output[start : output.index(END, start)]
    except ValueError:
        raise IncompleteAnswer from None


def ask(script: str, *arguments: str) -> StringCommand:
    """
    Make the command of a fact.

    + script: for sh, without a separator at its end; the markers are added
    + arguments: its ``$1`` and so on
    """
    words = [QuoteString(argument) for argument in arguments]
    return StringCommand("sh", "-c", QuoteString(between_markers(script)), "sh", *words)


def between_markers(script: str) -> str:
    """Add the printing of the two markers to a script, each on a line of its own."""
    return f"printf '\\n%s\\n' '{BEGIN}'; {script}; echo '{END}'"
