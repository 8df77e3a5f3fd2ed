"""The types of the settings of backups; see ``settings.fields``."""

from __future__ import annotations

import re
from typing import Annotated

from messages import settings as messages
from settings.fields import Number, Text, between, checked, invalid, matching, nearest

OFF, PASSPHRASE = "off", "passphrase"
_SCHEDULE = re.compile(r"off|daily ([01][0-9]|2[0-3]):[0-5][0-9]")


def _encryption(text: str) -> None:
    from formats import age  # slow to import, and not needed for a word

    if text in (OFF, PASSPHRASE):
        return
    if "SECRET-KEY" in text.upper() or "PRIVATE KEY" in text:
        raise ValueError(messages.SECRET_KEY_IN_SETTINGS())
    if not text.startswith(("age1", "ssh-")):
        kind = f'"{OFF}", "{PASSPHRASE}" or a public key of age'
        near = nearest(text, [OFF, PASSPHRASE]) or "one of them"
        # It may be the passphrase itself.
        raise ValueError(messages.INVALID(value="this", kind=kind, instead=near))
    if text.split("\n")[0].strip() != text:
        raise invalid(text, "a public key of age", "it on one line, without a line feed behind it")
    age.check_recipient(text)


Encryption = Annotated[Text, checked(_encryption)]
Schedule = Annotated[
    Text, matching(_SCHEDULE, f'"{OFF}" or "daily HH:MM"', "one such as daily 03:00")
]
Newest = Annotated[Number, between(1, 1000)]
Weekly = Annotated[Number, between(0, 520)]
