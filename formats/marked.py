"""Marked lines: our own part of a file that others write too, between two comment lines.

Everything outside the marks belongs to someone else and is kept byte for byte.
"""

from __future__ import annotations

import re

BEGIN = "# bramble begin"
END = "# bramble end"

_PART = re.compile(rf"^{BEGIN}[^\n]*\n(?P<body>.*?)^{END}[^\n]*(?:\n|\Z)", re.MULTILINE | re.DOTALL)
_MARK = re.compile(rf"^(?:{BEGIN}|{END})\b", re.MULTILINE)


def get(text: str) -> str | None:
    """
    What stands between the marks; None when there are none.

    + text: the whole file; ``ValueError`` when one mark is missing, doubled or out of place
    """

    marks = len(_MARK.findall(text))
    part = _PART.search(text)
    if marks == 0:
        return None
    if marks != 2 or part is None:
        raise ValueError(
            f'its lines "{BEGIN}" and "{END}" are not one pair: someone has edited them; '
            "put them right or remove both"
        )
    return part["body"]


def put(text: str, body: str | None, why: str = "") -> str:
    """
    The text with our part set, in its old place or at the end.

    + text: the whole file; ``ValueError`` as for ``get``
    + body: whole lines; None takes our part out
    + why: said to the reader in the first mark
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
    """The text without our part."""
    return put(text, None)
