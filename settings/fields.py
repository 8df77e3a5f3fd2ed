"""The types of the settings: each takes what a person writes, and says what is wrong with it.

Forms are pydantic's own, strict: text, number, True or False, list, mapping (their messages are in
`settings.build`). What a value means is asked of `formats`; a validator raises `ValueError` with
the text of a `Problem`: the value, what is wrong with it, and the remedy.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, NetmaskValueError
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, Strict, TypeAdapter

from settings.problems import shown

# RFC 1123, as Kubernetes wants it for a node's name (a "DNS label"): lower case.
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# 15 bytes is the kernel's limit; the characters are those of interfaces(5)'s source-directory, as
# the interface's file there bears its name.
_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,14}")
# adduser(8)'s NAME_REGEX and useradd(8)'s length.
_USER = re.compile(r"[a-z][a-z0-9_-]{0,31}")
# Users and groups that every Debian has for itself: base-passwd's, and those of its servers.
_SYSTEM_USERS = frozenset(
    re.findall(
        r"\S+",
        """adm audio avahi backup bin cdrom crontab daemon dialout dip disk fax floppy games gpio
        i2c input irc kmem kvm list lp mail man messagebus netdev news nobody nogroup ntp operator
        plugdev polkitd proxy render root sasl shadow spi src ssh sshd staff statd sudo sync sys
        systemd-network systemd-resolve systemd-timesync tape tty users utmp uucp uuidd video voice
        www-data""",
    )
)
# Names that mean something else to pyinfra (its groups) or to every node (its /etc/hosts).
_TAKEN = (
    "all", "workers", "inventory", "localhost", "local",
    "ip6-localhost", "ip6-loopback", "ip6-allnodes", "ip6-allrouters",
)  # fmt: skip
# Blanks, quotes and brackets have to be written otherwise (RFC 3986).
_URL = re.compile(
    r"https?://[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*"
    r"(:[0-9]+)?([/?#][!#-&(-;=?-Z_a-z~]*)?"
)
# Where no machine of a network is: this host, loopback, link-local, multicast and above.
_SPECIAL = [IPv4Network(t) for t in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")]

T = TypeVar("T")


class Typed(str):
    """A value of the command line (`--data`), where numbers, lists and True are text too."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ": did you mean X?" for the nearest known word, or nothing when none is near."""
    near = get_close_matches(word.lower(), sorted(known), n=1)
    return f": did you mean {near[0]}?" if near else ""


def checked(check: Callable[[T], object]) -> AfterValidator:
    """A validator that asks a function which raises `ValueError` for what can't be."""

    def validate(value: T) -> T:
        with asking_the_system():
            check(value)
        return value

    return AfterValidator(validate)


@contextmanager
def asking_the_system() -> Iterator[None]:
    """Makes a mistake of a file that the system does not let us look at."""
    try:
        yield
    except OSError as error:
        name = shown(Path(error.filename or "").name)
        raise ValueError(
            f"{name} can't be used ({error.strerror}): write another path, or chmod or install it"
        ) from None


def without(mistakes: Callable[[T], Iterable[str | None]]) -> AfterValidator:
    """A validator that asks a function which gives one line a mistake, or None."""

    def check(value: T) -> None:
        found = [text for text in mistakes(value) if text]
        if found:
            raise ValueError("; ".join(found))

    return checked(check)


def matching(pattern: re.Pattern[str], otherwise: str) -> AfterValidator:
    """A validator of text that the pattern matches; `otherwise` says what other text is not."""

    def check(text: str) -> None:
        if not pattern.fullmatch(text):
            near = text.strip().lower()
            hint = f": did you mean {near}?" if near != text and pattern.fullmatch(near) else ""
            raise ValueError(f"{text!r} is not {otherwise}{hint}")

    return checked(check)


def of_text(parse: Callable[[str], object]) -> BeforeValidator:
    """A validator that makes something else of a text."""
    text = TypeAdapter(Annotated[str, Strict()])
    return BeforeValidator(lambda value: parse(text.validate_python(value)))


def _of_command_line(form: type[Any]) -> BeforeValidator:
    lax = TypeAdapter(form)
    return BeforeValidator(lambda v: lax.validate_python(str(v)) if isinstance(v, Typed) else v)


def _listed(value: object) -> object:
    if isinstance(value, Typed):
        return tuple(Typed(word.strip()) for word in value.split(",") if word.strip())
    return tuple(value) if isinstance(value, list) else value


def host_name(name: str) -> str:
    """A name of a node or of the API server: in /etc/hosts, in Kubernetes, in SSH's files."""
    if _is(IPv4Address, name) or _is(IPv6Address, name):
        raise ValueError(f"{name!r} is an address: write a name in its place")
    if not _LABEL.fullmatch(name):
        bare = re.sub(r"^[a-z]+://|[:/].*$", "", name.lower())
        near = re.sub(r"[^a-z0-9]+", "-", bare)[:63].strip("-")
        raise ValueError(
            f"{name!r} is not a host name (a-z, 0-9 and - inside, 63 at most)"
            + (f": did you mean {near}?" if near and near not in _TAKEN else ": write node2")
        )
    if name in _TAKEN:
        raise ValueError(f"{name!r} means something else already: choose another name")
    try:
        socket.inet_aton(name)
    except OSError:
        return name
    raise ValueError(f"{name!r} is an address to every program: begin it with a letter")


def address(text: str) -> IPv4Address:
    """The IPv4 address of one machine of a network."""
    found = ipv4_address(text)
    for network in _SPECIAL:
        if found in network:
            raise ValueError(f"{text!r} is in {network}, where no node is: write its real address")
    return found


def ipv4_address(text: str) -> IPv4Address:
    """An IPv4 address, of whatever kind."""
    if _is(IPv4Address, text):
        return IPv4Address(text)
    near, slash, _ = _repaired(text).partition("/")
    if not _is(IPv4Address, near):
        if _is(IPv6Address, text):
            raise ValueError(f"{text!r} is an IPv6 address: write the IPv4 address")
        within = re.findall(r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9.])", text)
        found = [each for each in within if _is_ipv4(each)]
        hint = f": did you mean {found[0]}?" if found else ""
        if len(found) > 1:
            hint = ": write " + ", ".join(f'"{each}"' for each in found)
        raise ValueError(f"{text!r} is not an IPv4 address, such as 192.168.2.11{hint}")
    wrong = "has a prefix length, which belongs to its network" if slash else "is not an address"
    raise ValueError(f"{text!r} {wrong}: did you mean {near}?")


def network(text: str) -> IPv4Network:
    """An IPv4 network that has room for machines."""
    try:
        found = IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError):
        near = _repaired(text)
        hint = f": did you mean {near}?" if near != text and _is(IPv4Network, near) else ""
        raise ValueError(f"{text!r} is not an IPv4 network, such as 192.168.2.0/24{hint}") from None
    if "/" not in text:
        length = 8 if text.endswith(".0.0.0") else 16 if text.endswith(".0.0") else 24
        guess = IPv4Network((text, length), strict=False)
        reserved = any(each.overlaps(guess) for each in _SPECIAL)
        hint = "write one, such as 192.168.2.0/24" if reserved else f"did you mean {guess}?"
        raise ValueError(f"{text!r} has no prefix length: {hint}")
    if str(found.network_address) != text.partition("/")[0]:
        raise ValueError(f"{text!r} is an address in a network: did you mean {found}?")
    if found.prefixlen > 30:
        raise ValueError(f"{text!r} has no room for nodes: write a /30 or a shorter prefix")
    for special in _SPECIAL:
        if found.overlaps(special):
            raise ValueError(
                f"{text!r} overlaps {special}, where no node is: choose a private one, "
                "such as 192.168.2.0/24"
            )
    return found


def _is_ipv4(text: str) -> bool:
    return _is(IPv4Address, text)


def _is(form: Callable[[str], object], text: str) -> bool:
    try:
        form(text)
    except ValueError:
        return False
    return True


def _repaired(text: str) -> str:
    """The text without blanks, leading zeros, and commas where dots belong."""
    dotted = re.sub(r"\s", "", text).replace(",", ".").replace("\\", "/")
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", dotted)


def _nameserver(text: str) -> IPv4Address | str:
    if text.lower() == "router":
        return "router"
    if re.fullmatch("[A-Za-z]+", text):
        hint = did_you_mean(text, ["router"]) or ": write one of them"
        raise ValueError(f'{text!r} is neither an IPv4 address nor the word "router"{hint}')
    return ipv4_address(text)


def url(text: str) -> bool:
    """Whether a file can be fetched from there: no password in it, which would be no secret."""
    if not _URL.fullmatch(text):
        return False
    try:
        port = urlsplit(text).port
    except ValueError:  # one above 65535
        return False
    return port != 0


def without_password(text: str) -> str:
    """A URL for a message."""
    return repr(re.sub(r"(?<=://)[^/@]*@", "…@", text))


def _user(name: str) -> None:
    if name == "root":
        raise ValueError("'root' is not let in by SSH: name a user, who gets sudo")
    if name in _SYSTEM_USERS:
        raise ValueError(f"{name!r} is the system's own: choose another name")


def _interface(name: str) -> None:
    if name in ("all", "default"):
        raise ValueError(f"{name!r} stands for every interface: write the name of one, eth0")
    if name == "lo":
        raise ValueError("'lo' is the loopback interface: name the one with the cable, eth0")


def _ssid(text: str) -> None:
    octets = len(text.encode(errors="replace"))
    if not 1 <= octets <= 32:
        raise ValueError(f"{text!r} is {octets} bytes long: a Wi-Fi name has 1 to 32, or is None")
    if not text.isprintable():
        raise ValueError(f"{text!r} has a control character in it: remove it")


def path(text: str) -> Path:
    """The path of a file or a folder, with the home folder in the place of ~."""
    if not text.strip():
        raise ValueError(f"{text!r} names no file: write its path")
    if not text.isprintable() or text != text.strip():
        near = "".join(char for char in text if char.isprintable()).strip()
        hint = f": did you mean {near}?" if near else ": write its path"
        raise ValueError(f"{shown(text)} has a blank or a control character too many{hint}")
    if re.search(r"\$\w|\$\{|%\w+%", text):
        near = re.sub(r"\$HOME\b|\$\{HOME\}", "~", text)
        hint = near if "$" not in near and "%" not in near else "the path itself"
        raise ValueError(f"{text!r}: a variable stays as it is here: write {hint}")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"{text!r}: there is no such user's home folder: write it out") from None


def as_written(path: Path) -> str:
    """A path for a message: with ~ where it was, perhaps, written so."""
    home = Path.home()
    return f"'~/{path.relative_to(home)}'" if path.is_relative_to(home) else f"'{path}'"


Text = Annotated[str, Strict()]
Switch = Annotated[bool, Strict(), _of_command_line(bool)]
Number = Annotated[int, Strict(), _of_command_line(int)]
Listed = BeforeValidator(_listed)
Mapping = Annotated[dict[Text, Any], Strict()]

Address = Annotated[IPv4Address, of_text(address)]
Network = Annotated[IPv4Network, of_text(network)]
Nameserver = Annotated[
    IPv4Address | Literal["router"],
    of_text(_nameserver),
]
Nameservers = Annotated[tuple[Nameserver, ...], Strict(), Listed]
Texts = Annotated[tuple[Text, ...], Strict(), Listed]
InterfaceName = Annotated[
    Text,
    checked(_interface),
    matching(_INTERFACE, "an interface name (A-Z, a-z, 0-9, _ and -, 15 at most) such as eth0"),
]
UserName = Annotated[
    Text, checked(_user), matching(_USER, "a user name (a-z first, then a-z, 0-9, _ and -)")
]
HostName = Annotated[Text, checked(host_name)]
FilePath = Annotated[Path, of_text(path)]
Ssid = Annotated[Text, checked(_ssid)]
GuardSeconds = Annotated[Number, Field(ge=5, le=900)]
