"""The types of the settings of places and of a card's first boot; see `settings.fields`."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Annotated

from settings.fields import Text, checked, did_you_mean

# locale(7): a language, a country, and no other encoding than UTF-8.
_LOCALE = re.compile(r"C\.UTF-8|[a-z]{2,3}_(?P<country>[A-Z]{2})\.UTF-8(@[a-z]+)?")


def _table(name: str) -> list[list[str]]:
    """The rows of a table of the time zone database."""
    text = files("tzdata").joinpath("zoneinfo", name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


@cache
def _time_zones() -> frozenset[str]:
    """The names in the database's own table of places, and UTC's. Its old names ("Japan",
    "US/Pacific") are not among them: Debian 13 does not install those."""
    return frozenset({"Etc/UTC", *(row[2] for row in _table("zone.tab"))})


@cache
def _countries() -> dict[str, str]:
    """ISO 3166's codes, each with the country's name."""
    return {row[0]: row[1] for row in _table("iso3166.tab")}


def time_zone(text: str) -> None:
    """`ValueError` for no place of the time zone database."""
    if text in _time_zones():
        return
    by_city = {zone.rpartition("/")[2].lower(): zone for zone in _time_zones()}
    city = by_city.get(text.rpartition("/")[2].lower().replace(" ", "_"))
    near = f": did you mean {city}?" if city else did_you_mean(text, _time_zones())
    raise ValueError(f'{text!r} is not a time zone, such as "Europe/Lisbon"{near}')


def country(text: str) -> None:
    """`ValueError` for what is not one of ISO 3166's codes."""
    if text not in _countries():
        near = _nearest(text)
        hint = f": did you mean {near}?" if near else ""
        raise ValueError(f'{text!r} is not a country of ISO 3166, such as "US"{hint}')


def _nearest(text: str) -> str | None:
    """A code of other case, or that of the country whose name has this word ("UK", "Germany")."""
    if text.strip().upper() in _countries():
        return text.strip().upper()
    word = re.compile(rf"\b{re.escape(text)}\b", re.IGNORECASE)
    found = [(len(name), code) for code, name in _countries().items() if word.search(name)]
    return min(found)[1] if found and text else None


def locale(text: str) -> None:
    """`ValueError` for what is not a locale in UTF-8."""
    match = _LOCALE.fullmatch(text)
    if match is None:
        longer = f"{text.partition('.')[0]}.UTF-8"
        near = f": did you mean {longer}?" if _LOCALE.fullmatch(longer) else ""
        raise ValueError(f'{text!r} is not a locale in UTF-8, such as "pt_PT.UTF-8"{near}')
    if match["country"] and match["country"] not in _countries():
        code = _nearest(match["country"])
        hint = f": did you mean {text.replace(match['country'], code)}?" if code else ""
        raise ValueError(f"{text!r}: {match['country']} is not a country of ISO 3166{hint}")


TimeZone = Annotated[Text, checked(time_zone)]
Locale = Annotated[Text, checked(locale)]
Country = Annotated[Text, checked(country)]
