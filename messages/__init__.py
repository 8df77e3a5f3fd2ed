"""
All messages that a person may have to look up, each with a stable code.

A module of this package an area; its constants are the messages. Code raises or logs a message
that has been given its values, ``HostFailure(network.GATEWAY_OUTSIDE(gateway=..., network=...))``;
``docs/messages.md`` is generated from the same definitions (``python -m messages``). Tests match
codes and values, never the wording.
"""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from string import Formatter

_CODE = re.compile(r"[A-Z]{3}[0-9]{3}")
_CATALOGUE: dict[str, Message] = {}


class Message:
    """
    A problem and its remedy, with the places of the values in braces.

    Written as one text, whose lines are joined: the code; the problem; a line that begins with
    ``Remedy:``; one that begins with ``Meaning:``. The last two may be missing.

    + code: three letters of the area and three digits; a code is never used again for another
      problem
    + problem: one sentence without its full stop, the value quoted
    + remedy: one sentence with its full stop: a command or a setting; empty when the problem says
      it all
    + meaning: for the documentation: what has happened, and what else helps; empty when problem and
      remedy say it all
    + raises ``ValueError``: the code is malformed or already taken
    """

    def __init__(self, text: str) -> None:
        self.code, _, rest = text.partition("\n")
        said, _, self.meaning = " ".join(rest.split()).partition(" Meaning: ")
        self.problem, _, self.remedy = said.partition(" Remedy: ")
        if not self.problem:
            raise ValueError(f"{self.code}: without a problem")
        if not _CODE.fullmatch(self.code) or self.code in _CATALOGUE:
            raise ValueError(f"{self.code}: not a code, or already taken")
        _CATALOGUE[self.code] = self

    @property
    def fields(self) -> set[str]:
        """The names of the values."""
        text = self.problem + self.remedy
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    def __call__(self, **values: object) -> Said:
        """
        The message with its values, its code at the end.

        + values: exactly those of ``fields``; a value that is itself a message, or an error raised
          with one, comes in without its code
        + raises ``TypeError``: a value is missing, or there is no place for it
        """
        if self.fields != set(values):
            raise TypeError(f"{self.code} takes {sorted(self.fields)}, not {sorted(values)}")
        return Said(self, values)


class Said(str):
    """
    A message as it is shown: a text that remembers its code and its values.

    + message: its definition
    + values: what it was given
    + words: the text without the code
    """

    message: Message
    values: dict[str, object]
    words: str

    def __new__(cls, message: Message, values: dict[str, object]) -> Said:
        plain = {name: _plain(value) for name, value in values.items()}
        problem = message.problem.format(**plain)
        remedy = message.remedy.format(**plain)
        words = f"{problem}. {remedy}" if remedy else problem
        said = super().__new__(cls, f"{words} ({message.code})")
        said.message, said.values, said.words = message, values, words
        return said

    def __reduce__(self) -> tuple[type[Said], tuple[Message, dict[str, object]]]:
        return Said, (self.message, self.values)


def _plain(value: object) -> object:
    if isinstance(value, Exception) and value.args and isinstance(value.args[0], Said):
        value = value.args[0]
    return value.words.removesuffix(".") if isinstance(value, Said) else value


def codes(text: str) -> list[str]:
    """The codes in what was printed, in their order."""
    return re.findall(r"\(([A-Z]{3}[0-9]{3})\)", text)


def catalogue() -> dict[str, list[Message]]:
    """All messages by area, in the order of their codes; an area's name is its module's title."""
    areas = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name.startswith("_"):
            continue
        loaded = import_module(f"{__name__}.{module.name}")
        found = [each for each in vars(loaded).values() if isinstance(each, Message)]
        title = (loaded.__doc__ or module.name).strip().splitlines()[0].rstrip(".")
        areas[title] = sorted(found, key=lambda message: message.code)
    return areas
