"""
Marked lines: bramble's part of a file that others write too, between two comment lines.

Everything outside the marks is kept byte for byte.
"""

from __future__ import annotations

import re

from messages.formats import MARKS_DAMAGED

BEGIN = "# bramble begin"
END = "# bramble end"

_PART = re.compile(rf"^{BEGIN}[^\n]*\n(?P<body>.*?)^{END}[^\n]*(?:\n|\Z)", re.MULTILINE | re.DOTALL)
_MARK = re.compile(rf"^(?:{BEGIN}|{END})\b", re.MULTILINE)


def get(text: str) -> str | None:
    """
    Read what is between the marks; None when there are none.

    + text: the whole file; ``ValueError`` when one mark is missing, doubled or out of place
    """
    marks = len(_MARK.findall(text))
    part = _PART.search(text)
    if marks == 0:
        return None
    if marks != 2 or part is None:
        raise ValueError(MARKS_DAMAGED(begin=BEGIN, end=END))
    return part["body"]


def put(text: str, body: str | None, why: str = "") -> str:
    """
    Set bramble's part of the text, in its place or at the end.

    + text: the whole file; ``ValueError`` as for ``get``
    + body: whole lines; None removes the part
    + why: a comment in the first mark
    """
    if body is not None:
        body = f"{BEGIN}{f' ({why})' if why else ''}\n{body}{END}\n"
    if get(text) is not None:
        return _PART.sub(lambda _: body or "", text)
    if body is None:
        return text
    if text and not text.endswith("\n"):
        text += "\n"
    return text + body


def others(text: str) -> str:
    """Remove bramble's part from the text."""
    return put(text, None)
