"""The types of the settings of places and of a card's first boot; see `settings.fields`."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from locale import locale_alias, normalize
from typing import Annotated

from settings.fields import Text, checked, did_you_mean

# locale(7): a language, a country, and no other encoding than UTF-8.
_LOCALE = re.compile(r"C\.UTF-8|[a-z]{2,3}_(?P<country>[A-Z]{2})\.UTF-8(@[a-z]+)?")

# Locales of glibc that Python's table has not.
_UNLISTED = re.compile(
    "az_IR|bhb_IN|ckb_IQ|crh_RU|de_LI|dsb_DE|en_SC|en_SE|gbm_IN|hif_FJ|kv_RU|ltg_LV|mdf_RU|mnw_MM"
    "|rif_MA|sah_RU|scn_IT|ssy_ER|su_ID|tcy_IN|zgh_MA"
)


def _table(name: str) -> list[list[str]]:
    """The rows of a table of the time zone database."""
    text = files("tzdata").joinpath("zoneinfo", name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


@cache
def _time_zones() -> frozenset[str]:
    """The names in the database's own table of places, and UTC's. Its old names ("Japan",
    "US/Pacific") are not among them: Debian 13 does not install those."""
    etc = {f"Etc/GMT{hours:+}" for hours in range(-14, 13) if hours}
    return frozenset({"Etc/UTC", "Etc/GMT", *etc, *(row[2] for row in _table("zone.tab"))})


@cache
def _old_names() -> dict[str, str]:
    """Names of former days, each with the one of today."""
    text = files("tzdata").joinpath("zoneinfo", "tzdata.zi").read_text(encoding="utf-8")
    rows = (line.split() for line in text.splitlines() if line.startswith("L "))
    return {old.lower(): new for _, new, old in rows}


@cache
def _countries() -> dict[str, str]:
    """ISO 3166's codes, each with the country's name."""
    return {row[0]: row[1] for row in _table("iso3166.tab")}


def time_zone(text: str) -> None:
    """`ValueError` for no place of the time zone database."""
    if text in _time_zones():
        return
    by_city = {zone.rpartition("/")[2].lower(): zone for zone in _time_zones()}
    old = _old_names().get(text.strip().lower())
    city = (
        old
        if old in _time_zones()
        else by_city.get(text.rpartition("/")[2].lower().replace(" ", "_"))
    )
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
    if text.strip().upper() == "USA":
        return "US"
    word = re.compile(rf"\b{re.escape(text)}\b", re.IGNORECASE)
    found = [(len(name), code) for code, name in _countries().items() if word.search(name)]
    return min(found)[1] if found and text else None


def locale(text: str) -> None:
    """`ValueError` for what is not a locale in UTF-8."""
    match = _LOCALE.fullmatch(text)
    if match is None:
        raise ValueError(f'{text!r} is not a locale in UTF-8, such as "pt_PT.UTF-8"{_longer(text)}')
    if match["country"] and match["country"] not in _countries():
        code = _nearest(match["country"])
        hint = f": did you mean {text.replace(match['country'], code)}?" if code else ""
        raise ValueError(f"{text!r}: {match['country']} is not a country of ISO 3166{hint}")
    name = text.partition(".")[0]
    if match["country"] and name.lower() not in locale_alias and not _UNLISTED.fullmatch(name):
        own = f"{match['country'].lower()}_{match['country']}"
        hint = f"did you mean {own}.UTF-8?" if own.lower() in locale_alias else "write en_GB.UTF-8"
        raise ValueError(f"{text!r} is not a locale of Debian's: {hint}")


def _longer(text: str) -> str:
    """What Python's table makes of a word such as "de" or "german", as a hint."""
    bare = re.split(r"[.@]", text.strip().replace("-", "_"))[0]
    for word in (bare, normalize(bare)):
        longer = f"{word.partition('.')[0]}.UTF-8"
        match = _LOCALE.fullmatch(longer)
        if match and (not match["country"] or match["country"] in _countries()):
            return f": did you mean {longer}?"
    return ""


TimeZone = Annotated[Text, checked(time_zone)]
Locale = Annotated[Text, checked(locale)]
Country = Annotated[Text, checked(country)]
