"""The types of the settings that a card is written with: where the boards are, and their language.

As in `settings.fields`: each takes what a person writes, and says what is wrong with it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import PlainValidator

from settings.fields import _text, did_you_mean

# locale(7): a language, a country, and no other encoding than UTF-8.
_LOCALE = re.compile(r"C\.UTF-8|[a-z]{2,3}_[A-Z]{2}\.UTF-8(@[a-z]+)?")


@cache
def _time_zones() -> frozenset[str]:
    """The names in the time zone database's own table of places, and UTC's. Its old names ("Japan",
    "US/Pacific") are not among them: Debian 13 does not install those."""
    table = files("tzdata").joinpath("zoneinfo/zone.tab").read_text(encoding="utf-8")
    lines = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return frozenset({"Etc/UTC", *(fields[2] for fields in lines)})


def _timezone(value: object) -> str:
    text = _text(value)
    if text in _time_zones():
        return text
    by_city = {zone.rpartition("/")[2].lower(): zone for zone in _time_zones()}
    city = by_city.get(text.rpartition("/")[2].lower().replace(" ", "_"))
    near = f": did you mean {city}?" if city else did_you_mean(text, _time_zones())
    raise ValueError(f'{text!r} is no time zone, such as "Europe/Lisbon"{near}')


def _locale(value: object) -> str:
    text = _text(value)
    if _LOCALE.fullmatch(text):
        return text
    longer = f"{text.partition('.')[0]}.UTF-8"
    near = f": did you mean {longer}?" if _LOCALE.fullmatch(longer) else ""
    raise ValueError(f'{text!r} is no locale in UTF-8, such as "pt_PT.UTF-8"{near}')


TimeZone = Annotated[str, PlainValidator(_timezone)]
Locale = Annotated[str, PlainValidator(_locale)]
