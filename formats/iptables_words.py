"""
The words of an iptables command line: as a shell reads them, as iptables-save quotes them.

Source: ``xtables_save_string`` and ``add_param_to_argv`` of iptables 1.8 (what iptables-save
writes and iptables-restore reads), and sh(1) for what a person types.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PIECE = re.compile(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|\\(.)|([^\s"\'\\]+)', re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPED = re.compile(r'\\(["\\\'$`])')
_PLAIN = re.compile(r"[\w./:,+=%@][\w./:,+=%@-]*", re.ASCII)


class RuleError(ValueError):
    """A rule that iptables would not take, or would take for something else; says why."""


@dataclass(frozen=True)
class Word:
    """One word; ``quoted`` is never an option nor the negating ``!``, whatever it looks like."""

    text: str
    quoted: bool = False

    @property
    def is_option(self) -> bool:
        return not self.quoted and len(self.text) > 1 and self.text[0] == "-"

    @property
    def negates(self) -> bool:
        return not self.quoted and self.text == "!"


def split(text: str) -> list[Word]:
    """
    The words of a rule, with single or double quotes and backslashes taken away.

    + text: one rule; ``RuleError`` when a quote is left open or it has control characters
    """

    words: list[Word] = []
    position, end = 0, -1
    while position < len(text):
        if text[position] in " \t":
            position += 1
            continue
        piece = _PIECE.match(text, position)
        if piece is None or _CONTROL.search(piece[0]):
            bad = "control characters" if piece or _CONTROL.search(text) else "an open quote"
            raise RuleError(f"it has {bad}")
        double, single, escaped, bare = piece.groups()
        quoted = double is not None or single is not None
        value = single or escaped or bare if double is None else _ESCAPED.sub(r"\1", double)
        if end == position:  # no space between: the same word goes on, as in --comment="a b"
            words[-1] = Word(words[-1].text + (value or ""), words[-1].quoted)
        else:
            words.append(Word(value or "", quoted))
        position = end = piece.end()
    return words


def quote(word: str) -> str:
    """A word as iptables-restore and ``split`` read it back."""
    if _PLAIN.fullmatch(word):
        return word
    escaped = re.sub(r'(["\\])', r"\\\1", word)
    return f'"{escaped}"'
