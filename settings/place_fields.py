"""The types of time zone, locale and country; see ``settings.fields``."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from locale import normalize
from typing import Annotated

from settings import locales
from settings.fields import Text, checked, invalid, nearest

# locale(7): language and country, in UTF-8.
_LOCALE = re.compile(r"(C|[a-z]{2,3}(_(?P<country>[A-Z]{2}))?)\.UTF-8(@[a-z]+)?")


def _table(name: str) -> list[list[str]]:
    """Read the rows of a table of the time zone database."""
    text = files("tzdata").joinpath("zoneinfo", name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


@cache
def _time_zones() -> frozenset[str]:
    """Read the names in the database's table of places, and UTC's. Debian 13 does not install its
    old names ("Japan", "US/Pacific")."""
    etc = {f"Etc/GMT{hours:+}" for hours in range(-14, 13) if hours}
    return frozenset({"Etc/UTC", "Etc/GMT", *etc, *(row[2] for row in _table("zone.tab"))})


@cache
def _old_names() -> dict[str, str]:
    """Read the old names, each with the current one."""
    text = files("tzdata").joinpath("zoneinfo", "tzdata.zi").read_text(encoding="utf-8")
    rows = (line.split() for line in text.splitlines() if line.startswith("L "))
    return {old.lower(): new for _, new, old in rows}


@cache
def _countries() -> dict[str, str]:
    """Read ISO 3166's codes, each with the country's name."""
    return {row[0]: row[1] for row in _table("iso3166.tab")}


def time_zone(text: str) -> None:
    """Raise ``ValueError`` unless it is a time zone."""
    if text in _time_zones():
        return
    by_city = {zone.rpartition("/")[2].lower(): zone for zone in _time_zones()}
    old = _old_names().get(text.strip().lower())
    city = (
        old
        if old in _time_zones()
        else by_city.get(text.rpartition("/")[2].lower().replace(" ", "_"))
    )
    near = city or nearest(text, _time_zones())
    raise invalid(text, "a time zone", near, "one such as Europe/Lisbon")


def country(text: str) -> None:
    """Raise ``ValueError`` unless it is a code of ISO 3166."""
    if text not in _countries():
        raise invalid(text, "a country of ISO 3166", _nearest(text), "one such as US")


def _nearest(text: str) -> str | None:
    """Find a code in the other case, or by a word of the country's name ("UK", "Germany")."""
    text = text.strip()
    if text.upper() in _countries():
        return text.upper()
    if text.upper() == "USA":
        return "US"
    word = re.compile(rf"\b{re.escape(text)}\b", re.IGNORECASE)
    found = sorted((len(name), code) for code, name in _countries().items() if word.search(name))
    alike = len(found) > 1 and found[0][0] == found[1][0]  # Korea
    return found[0][1] if found and text and not alike else None


def locale(text: str) -> None:
    """Raise ``ValueError`` unless it is a locale in UTF-8."""
    match = _LOCALE.fullmatch(text)
    if match is None:
        raise invalid(text, "a locale in UTF-8", _longer(text), "one such as pt_PT.UTF-8")
    if match["country"] and match["country"] not in _countries():
        code = _nearest(match["country"])
        near = text.replace(match["country"], code) if code else None
        kind = f"a locale: {match['country']} is not a country of ISO 3166"
        raise invalid(text, kind, near, "one such as pt_PT.UTF-8")
    if text.replace(".UTF-8", "", 1) not in locales.SUPPORTED:
        plain = text.partition("@")[0]
        own = f"{(match['country'] or '').lower()}_{match['country']}.UTF-8"
        near = next((each for each in (plain, own) if each[:-6] in locales.SUPPORTED), None)
        raise invalid(text, "a locale of Debian", near, "one such as en_GB.UTF-8")


def _longer(text: str) -> str | None:
    """Complete a word such as "de" or "german" by Python's table."""
    bare = re.split(r"[.@]", text.strip().replace("-", "_"))[0]
    for word in (bare, normalize(bare)):
        longer = f"{word.partition('.')[0]}.UTF-8"
        if longer[:-6] in locales.SUPPORTED:
            return longer
    return None


TimeZone = Annotated[Text, checked(time_zone)]
Locale = Annotated[Text, checked(locale)]
Country = Annotated[Text, checked(country)]
