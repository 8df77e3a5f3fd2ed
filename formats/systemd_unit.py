"""
Words of a systemd unit's ``ExecStart=`` (systemd.service(5), "COMMAND LINES"; systemd.syntax(7)).
"""

from __future__ import annotations

from collections.abc import Iterable

# Outside of these a word needs quotes.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-=./:@,+")


def command_line(words: Iterable[str]) -> str:
    """The words as one line; nothing in them is taken for a variable, an escape or a specifier."""
    return " ".join(_word(word) for word in words)


def _word(word: str) -> str:
    if "\n" in word:
        raise ValueError("a line feed can't stand in a unit's command line")
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$").replace("%", "%%")
    return escaped if word and set(word) <= _PLAIN else f'"{escaped}"'
