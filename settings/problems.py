"""What is wrong with the settings, as lines for a person."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from messages import Said


@dataclass(frozen=True)
class Problem:
    """
    One mistake.

    + file: where it is, relative to the folder of inventory.py ("group_data/all.py"; "--data")
    + text: the message; it never contains a secret
    + host: the node concerned, if any
    + setting: the setting concerned, if any
    """

    file: str
    text: Said
    host: str | None = None
    setting: str | None = None

    def __str__(self) -> str:
        parts = (self.file, self.host, self.setting, self.text)
        line = ": ".join(part for part in parts if part)
        return "".join(char if char.isprintable() else repr(char)[1:-1] for char in line)


# Keys of what a person would not want to read on a screen.
_SECRET = re.compile("passw|passphrase|psk|secret|token|private", re.IGNORECASE)


def without_secrets(value: object) -> object:
    """Put … in place of passwords in a node's data, however it is written."""
    if isinstance(value, dict):
        return {
            key: "…" if _SECRET.search(str(key)) and each else without_secrets(each)
            for key, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return type(value)(without_secrets(each) for each in value)
    return value


def shown(value: object) -> str:
    """Write a value for a message: as in Python, without secrets, and no longer than a line."""
    try:
        text = repr(without_secrets(value))
    except (RecursionError, ValueError):  # nested too deeply, or an integer of too many digits
        text = f"this {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


class SettingsError(ValueError):
    """
    Everything that is wrong with the settings.

    + problems: in the order of the files; as text, one line each
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))
