"""The types of the settings: each takes what a person writes, and says what is wrong with it.

The parsers raise `ValueError` with the text of a `Problem`. A list may also come as one text with
commas, which is how `--data` gives it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import PlainValidator

# RFC 1123, as Kubernetes wants it for a node's name (a "DNS label"): lower case.
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DOMAIN = re.compile(r"(?=.{1,253}$)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.(?!$)|$))+")
# 15 bytes is the kernel's limit; the characters are those of interfaces(5)'s source-directory, as
# the interface's file there bears its name.
_INTERFACE = re.compile(r"[A-Za-z0-9_-]{1,15}")
# adduser(8)'s NAME_REGEX and useradd(8)'s length.
_USER = re.compile(r"[a-z][a-z0-9_-]{0,31}")
# resolv.conf(5), glibc 2.41: the options, those with a number among them.
_RESOLVER_OPTION = re.compile(
    r"(ndots|timeout|attempts):\d+|debug|rotate|no-aaaa|no-check-names|inet6|edns0"
    r"|single-request|single-request-reopen|no-tld-query|use-vc|no-reload|trust-ad"
)
_COUNTRY = re.compile(r"[A-Z]{2}")

Word = TypeVar("Word")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ": did you mean X?" for the nearest known word, or nothing when none is near."""
    near = get_close_matches(word.lower(), sorted(known), n=1)
    return f": did you mean {near[0]}?" if near else ""


def host_name(value: str) -> str:
    """A node's name, which becomes its host name and its name in Kubernetes."""
    if _LABEL.fullmatch(value):
        return value
    near = re.sub(r"[^a-z0-9]+", "-", value.lower())[:63].strip("-")
    raise ValueError(
        f"{value!r} is no host name (a-z, 0-9 and - inside, 63 at most)"
        + (f": did you mean {near}?" if near else "")
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text: put it in quotes")
    return value


def _matching(pattern: re.Pattern[str], otherwise: str) -> Callable[[object], str]:
    """A parser of text that the pattern matches; `otherwise` is what other text is called."""

    def parse(value: object) -> str:
        text = _text(value)
        if not pattern.fullmatch(text):
            raise ValueError(f"{text!r} is {otherwise}")
        return text

    return parse


def _list_of(parse: Callable[[object], Word]) -> Callable[[object], tuple[Word, ...]]:
    def parse_list(value: object) -> tuple[Word, ...]:
        if isinstance(value, str):
            value = [word.strip() for word in value.split(",") if word.strip()]
        if not isinstance(value, (list, tuple)):
            raise ValueError(f'{value!r} is not a list: write ["...", "..."]')
        return tuple(parse(word) for word in value)

    return parse_list


def _or_none(parse: Callable[[object], Word]) -> Callable[[object], Word | None]:
    return lambda value: None if value is None else parse(value)


def _one_of(*words: str) -> Callable[[object], str]:
    def parse_word(value: object) -> str:
        if value not in words:
            allowed = " or ".join(f'"{word}"' for word in words)
            raise ValueError(f"{value!r} is not {allowed}{did_you_mean(str(value), words)}")
        return str(value)

    return parse_word


def _address(value: object) -> IPv4Address:
    text = _text(value)
    try:
        return IPv4Address(text)
    except AddressValueError:
        pass
    bare, slash, _ = text.partition("/")
    if slash:
        raise ValueError(
            f"{text} has a prefix length, which belongs to its network: did you mean {bare}?"
        )
    raise ValueError(f"{text!r} is not an IPv4 address, such as 192.168.2.11")


def _network(value: object) -> IPv4Network:
    text = _text(value)
    try:
        network = IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError):
        raise ValueError(f"{text!r} is not an IPv4 network, such as 192.168.2.0/24") from None
    if "/" not in text:
        raise ValueError(f"{text} has no prefix length: did you mean {text}/24?")
    if str(network.network_address) != text.partition("/")[0]:
        raise ValueError(f"{text} is an address in a network: did you mean {network}?")
    if network.prefixlen > 30:
        raise ValueError(f"{text} has no room for nodes: the longest prefix is /30")
    return network


def _nameserver(value: object) -> IPv4Address | Literal["router"]:
    return "router" if value == "router" else _address(value)


_search_domain = _matching(_DOMAIN, "not a domain name")
_resolver_option = _matching(_RESOLVER_OPTION, "not an option of resolv.conf(5), such as timeout:1")
_interface = _matching(_INTERFACE, "no interface name (A-Z, a-z, 0-9, _ and -, 15 at most)")
_country = _matching(_COUNTRY, 'no country of two capital letters, such as "US"')


def _user(value: object) -> str:
    text = _text(value)
    if not _USER.fullmatch(text):
        near = f": did you mean {text.lower()}?" if _USER.fullmatch(text.lower()) else ""
        raise ValueError(f"{text!r} is no user name (a-z first, then a-z, 0-9, _ and -){near}")
    if text == "root":
        raise ValueError("root is not let in by SSH: name a user, who gets sudo")
    return text


def _ssid(value: object) -> str:
    text = _text(value)
    if not 1 <= len(text.encode()) <= 32:
        raise ValueError(f"{text!r} is {len(text.encode())} bytes long: a Wi-Fi name has 1 to 32")
    return text


def _path(value: object) -> Path:
    text = _text(value)
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"{text}: there is no such user's home folder: write it out") from None


def _switch(value: object) -> bool:
    words = {"true": True, "yes": True, "false": False, "no": False}
    if isinstance(value, bool):
        return value
    if str(value).lower() in words:
        return words[str(value).lower()]
    raise ValueError(f"{value!r} is neither True nor False{did_you_mean(str(value), words)}")


def _guard_seconds(value: object) -> int:
    try:
        seconds = int(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is no number of seconds, such as 60") from None
    if not 5 <= seconds <= 900:
        raise ValueError(
            f"{seconds} s is no time for a node to go back by itself after: from 5 to 900"
        )
    return seconds


Address = Annotated[IPv4Address, PlainValidator(_address)]
OptionalAddress = Annotated[IPv4Address | None, PlainValidator(_or_none(_address))]
Network = Annotated[IPv4Network, PlainValidator(_network)]
Nameservers = Annotated[
    tuple[IPv4Address | Literal["router"], ...], PlainValidator(_list_of(_nameserver))
]
SearchDomains = Annotated[tuple[str, ...], PlainValidator(_list_of(_search_domain))]
ResolverOptions = Annotated[tuple[str, ...], PlainValidator(_list_of(_resolver_option))]
InterfaceName = Annotated[str, PlainValidator(_interface)]
UserName = Annotated[str, PlainValidator(_user)]
Topology = Annotated[Literal["nat", "router"], PlainValidator(_one_of("nat", "router"))]
UplinkMethod = Annotated[Literal["dhcp", "static"], PlainValidator(_one_of("dhcp", "static"))]
OptionalSsid = Annotated[str | None, PlainValidator(_or_none(_ssid))]
OptionalCountry = Annotated[str | None, PlainValidator(_or_none(_country))]
FilePath = Annotated[Path, PlainValidator(_path)]
OptionalFilePath = Annotated[Path | None, PlainValidator(_or_none(_path))]
Switch = Annotated[bool, PlainValidator(_switch)]
OptionalSwitch = Annotated[bool | None, PlainValidator(_or_none(_switch))]
GuardSeconds = Annotated[int, PlainValidator(_guard_seconds)]
