"""What is wrong with the settings, as lines for a person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One mistake.

    + file: where it stands, relative to the desk ("group_data/all.py"; "--data")
    + text: what is wrong and what to do; never a secret
    + host: the node that it is about, if it is about one
    + setting: the setting's name, if it is about one
    """

    file: str
    text: str
    host: str | None = None
    setting: str | None = None

    def __str__(self) -> str:
        parts = (self.file, self.host, self.setting, self.text)
        line = ": ".join(part for part in parts if part)
        return "".join(char if char.isprintable() else repr(char)[1:-1] for char in line)


def shown(value: object) -> str:
    """A value for a message: as Python writes it, and no longer than a line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


class SettingsError(ValueError):
    """Everything that is wrong, at once.

    + problems: in the order of the files; as text, one line each
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))
