"""
The types of the settings.

The basic types are pydantic's own, strict: text, number, True or False, list, mapping (their
messages are in ``settings.build``). ``formats`` checks what a value means. A validator raises
``ValueError`` with a message, or with several.
"""

from __future__ import annotations

import re
import shlex
import socket
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, NetmaskValueError
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Strict, TypeAdapter
from pydantic_core import CoreSchema, core_schema

from messages import Said
from messages import settings as messages
from settings.problems import shown

# RFC 1123, as Kubernetes wants it for a node's name (a "DNS label"): lower case.
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# 15 bytes is the kernel's limit; the characters are those of interfaces(5)'s source-directory, as
# the interface's file there bears its name.
_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,14}")
# adduser(8)'s NAME_REGEX and useradd(8)'s length.
_USER = re.compile(r"[a-z][a-z0-9_-]{0,31}")
# Users and groups of every Debian: base-passwd's, those of its servers, and bramble's own. A user
# called default is another one to cloud-init.
_SYSTEM_USERS = frozenset(
    re.findall(
        r"\S+",
        """adm audio avahi backup bin bramble-backup cdrom clock crontab daemon default dhcpcd
        dialout dip disk fax floppy games gpio i2c input irc kmem kvm list lp mail man messagebus
        netdev news nobody nogroup ntp operator plugdev polkitd proxy render root sasl sgx shadow
        spi src ssh sshd staff statd sudo sync sys tape tty users utmp uucp uuidd video voice
        www-data""",
    )
)
# Names with another meaning to pyinfra (its groups) or on every node (in /etc/hosts).
_TAKEN = (
    "all", "workers", "inventory", "localhost", "local",
    "ip6-localhost", "ip6-loopback", "ip6-allnodes", "ip6-allrouters",
)  # fmt: skip
# RFC 3986: blanks, quotes and brackets must be percent-encoded.
_URL = re.compile(
    r"https?://[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*"
    r"(:[0-9]+)?([/?#][!#-&(-;=?-Z_a-z~]*)?"
)
# Ranges without machines: this host, loopback, link-local, multicast and above.
_SPECIAL = [IPv4Network(t) for t in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")]

T = TypeVar("T")


class Typed(str):
    """A value of the command line (``--data``), where numbers, lists and True are texts too."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Find the known word that was probably meant; None when none is near."""
    found = get_close_matches(word.lower(), sorted(known), n=2)
    ratios = {SequenceMatcher(None, each, word.lower()).ratio() for each in found}
    return found[0] if len(found) == len(ratios) > 0 else None


def invalid(value: object, kind: str, *instead: str | None) -> ValueError:
    """
    Make the error for a value of a wrong form.

    + kind: what the value is not
    + instead: what to write; the first that is not None
    """
    near = next(each for each in instead if each)
    return ValueError(messages.INVALID(value=shown(value), kind=kind, instead=near))


def not_allowed(value: object, reason: object, instead: str) -> ValueError:
    """Make the error for a value that has another meaning."""
    return ValueError(messages.NOT_ALLOWED(value=shown(value), reason=reason, instead=instead))


def checked(check: Callable[[T], object]) -> AfterValidator:
    """Validate with a function that raises ``ValueError``."""

    def validate(value: T) -> T:
        with reporting_os_errors():
            check(value)
        return value

    return AfterValidator(validate)


@contextmanager
def reporting_os_errors() -> Iterator[None]:
    """Turn an error of the operating system into a mistake in the settings."""
    try:
        yield
    except OSError as error:
        name = shown(Path(error.filename or "").name)
        raise ValueError(
            messages.PATH_UNUSABLE(path=name, reason=error.strerror or str(error))
        ) from None


def without(mistakes: Callable[[T], Iterable[Said | None]]) -> AfterValidator:
    """Validate with a function that gives a message for each mistake, or None."""

    def check(value: T) -> None:
        if found := [said for said in mistakes(value) if said]:
            raise ValueError(*found)

    return checked(check)


def matching(pattern: re.Pattern[str], kind: str, example: str) -> AfterValidator:
    """
    Validate a text by a pattern.

    + kind: what other text is not
    + example: what to write when nothing nearer is known
    """

    def check(text: str) -> None:
        if not pattern.fullmatch(text):
            near = text.strip().lower()
            raise invalid(text, kind, near if pattern.fullmatch(near) else None, example)

    return checked(check)


def between(low: float, high: float) -> AfterValidator:
    """Validate that a number is in a range."""

    def check(value: float) -> float:
        if not low <= value <= high:
            raise ValueError(messages.OUT_OF_RANGE(value=value, range=f"{low} to {high}"))
        return value

    return AfterValidator(check)


@dataclass(frozen=True)
class OfText:
    """Validate a text by parsing it."""

    parse: Callable[[str], object]

    def __get_pydantic_core_schema__(self, *_: object) -> CoreSchema:
        text = core_schema.str_schema(strict=True)
        return core_schema.no_info_after_validator_function(self.parse, text)


def of_command_line(form: type[Any]) -> BeforeValidator:
    def read(value: object) -> object:
        return TypeAdapter(form).validate_python(str(value)) if isinstance(value, Typed) else value

    return BeforeValidator(read)


def _listed(value: object) -> object:
    if isinstance(value, Typed):
        return tuple(Typed(word.strip()) for word in value.split(",") if word.strip())
    return tuple(value) if isinstance(value, list) else value


def host_name(name: str) -> str:
    """Check a name of a node or of the API server: in /etc/hosts, in Kubernetes, in SSH's files."""
    kind = "a host name (a-z, 0-9 and - inside, at most 63 characters)"
    if _is(IPv4Address, name) or _is(IPv6Address, name):
        raise invalid(name, kind, "one such as node2")
    if not _LABEL.fullmatch(name):
        bare = re.sub(r"^(@?[a-z]+:?/+)|[:/].*$", "", name.lower())
        bare = unicodedata.normalize("NFKD", bare).encode("ascii", "ignore").decode()
        near = re.sub(r"[^a-z0-9]+", "-", bare)[:63].strip("-")
        raise invalid(name, kind, near if near not in _TAKEN else None, "one such as node2")
    if name in _TAKEN:
        raise not_allowed(name, "pyinfra or every node uses the name", "another name")
    try:
        socket.inet_aton(name)
    except OSError:
        return name
    raise not_allowed(name, "programs read it as an address", "a name that begins with a letter")


def address(text: str) -> IPv4Address:
    """Read the IPv4 address of a machine."""
    found = ipv4_address(text)
    for network in _SPECIAL:
        if found in network:
            instead = "the machine's real address"
            said = messages.RESERVED_RANGE(value=shown(text), range=network, instead=instead)
            raise ValueError(said)
    return found


def ipv4_address(text: str) -> IPv4Address:
    """Read an IPv4 address of any kind."""
    if _is(IPv4Address, text):
        return IPv4Address(text)
    near, slash, _ = _repaired(text).partition("/")
    if _is(IPv4Address, near):
        if not slash:
            raise invalid(text, "an IPv4 address", near)
        with suppress(ValueError, IndexError):  # of a network's own address, the first one in it
            near = str(IPv4Network(_repaired(text))[1])
        raise invalid(text, "an address: the prefix length belongs to its network", near)
    within = re.findall(r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9.])", text)
    found = [each for each in within if _is(IPv4Address, each)]
    if len(found) > 1:
        found = [", ".join(f'"{each}"' for each in found)]
    raise invalid(text, "an IPv4 address", *found, "one such as 192.168.2.11")


def network(text: str) -> IPv4Network:
    """Read an IPv4 network that has room for machines."""
    example = "one such as 192.168.2.0/24"
    try:
        found = IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError):
        near = _repaired(text)
        good = near != text and _is(IPv4Network, near)
        raise invalid(text, "an IPv4 network", near if good else None, example) from None
    if "/" not in text:
        length = 8 if text.endswith(".0.0.0") else 16 if text.endswith(".0.0") else 24
        guess = IPv4Network((text, length), strict=False)
        reserved = any(each.overlaps(guess) for each in _SPECIAL)
        instead = example if reserved else guess
        raise ValueError(messages.NO_PREFIX(value=shown(text), instead=instead))
    if str(found.network_address) != text.partition("/")[0]:
        raise ValueError(messages.HOST_BITS(value=shown(text), instead=found))
    if found.prefixlen > 30:
        need, instead = "nodes", "a prefix of /30 or shorter"
        raise ValueError(messages.NETWORK_TOO_SMALL(network=found, need=need, instead=instead))
    for special in _SPECIAL:
        if found.overlaps(special):
            instead = "a private one, such as 192.168.2.0/24"
            said = messages.RESERVED_RANGE(value=shown(text), range=special, instead=instead)
            raise ValueError(said)
    return found


def _is(form: Callable[[str], object], text: str) -> bool:
    try:
        form(text)
    except ValueError:
        return False
    return True


def _repaired(text: str) -> str:
    """Remove blanks and leading zeros, and replace commas by dots, wide digits by ASCII's."""
    ascii_text = unicodedata.normalize("NFKC", text)
    dotted = re.sub(r"\s", "", ascii_text).replace(",", ".").replace("。", ".").replace("\\", "/")
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", dotted)


def _nameserver(text: str) -> IPv4Address | str:
    if text.lower() == "router":
        return "router"
    if re.fullmatch("[A-Za-z]+", text):
        kind = 'an IPv4 address or the word "router"'
        raise invalid(text, kind, nearest(text, ["router"]), "one of them")
    return ipv4_address(text)


def url(text: str) -> bool:
    """Tell whether a file can be fetched from there. A password in it would not be a secret."""
    if not _URL.fullmatch(text):
        return False
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname or ""
    except ValueError:  # a port above 65535
        return False
    return port != 0 and (not re.fullmatch("[0-9.]+", host) or _is(IPv4Address, host))


def bare_hexadecimal(text: str) -> str:
    """Leave out blanks, and "sha256:" before the digits."""
    return re.sub(r"^sha256:|\s", "", text.strip(), flags=re.IGNORECASE)


def without_password(text: str) -> str:
    """Write a URL for a message."""
    return repr(re.sub(r"(?<=://)[^/@]*@", "…@", text))


def not_a_url(text: str, instead: str) -> ValueError:
    """Make the error for a URL that can't be fetched, without a password in it."""
    kind = "a URL that can be fetched (no password, quote or blank)"
    said = messages.INVALID(value=without_password(text), kind=kind, instead=instead)
    return ValueError(said)


def _user(name: str) -> None:
    if name.strip().lower() == "root":
        raise not_allowed(name, "SSH does not accept root", "a user, who gets sudo")
    if name.strip().lower() in _SYSTEM_USERS or name.lower().startswith("systemd-"):
        raise not_allowed(name, "it is a user or a group of Debian", "another name")


def _interface(name: str) -> None:
    if name in ("all", "default"):
        raise not_allowed(name, "it means every interface", "the name of one, such as eth0")
    if name == "lo":
        raise not_allowed(name, "it is the loopback interface", "one such as eth0")


def _ssid(text: str) -> None:
    octets = len(text.encode(errors="replace"))
    if not 1 <= octets <= 32:
        raise invalid(text, "a Wi-Fi name (1 to 32 bytes)", "another name, or None")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in text):
        near = _printable(text)
        kind = "a Wi-Fi name without control characters"
        raise invalid(text, kind, repr(near) if near else None, "another name, or None")


def path(text: str) -> Path:
    """Read the path of a file or a folder, with the home folder in place of ~."""
    if not text.strip():
        raise invalid(text, "a path", "the path of a file or a folder")
    if "\n" in text.strip():
        raise ValueError(messages.SECRET_NOT_A_PATH())  # a key itself, perhaps
    if not text.isprintable() or text != text.strip():
        near = _printable(text).strip()
        kind = "a path without control characters and outer blanks"
        raise invalid(text, kind, near, "the path of a file")
    if re.search(r"\$\w|\$\{|%\w+%", text):
        near = re.sub(r"\$HOME\b|\$\{HOME\}", "~", text)
        good = "$" not in near and "%" not in near
        kind = "a path without variables, which are not expanded here"
        raise invalid(text, kind, near if good else None, "the path itself")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise invalid(text, "a path: this user has no home folder", "the whole path") from None


def _printable(text: str) -> str:
    return "".join(char for char in text if char.isprintable())


def as_written(path: Path) -> str:
    """Write a path for a message, with ~ for the home folder, as a shell takes it."""
    home = Path.home()
    if path != home and path.is_relative_to(home):
        return f"~/{shlex.quote(str(path.relative_to(home)))}"
    text = "~" if path == home else str(path)
    return shlex.quote(text) if "'" in text else f"'{text}'"


Text = Annotated[str, Strict()]
Switch = Annotated[bool, Strict(), of_command_line(bool)]
Number = Annotated[int, Strict(), of_command_line(int)]
Listed = BeforeValidator(_listed)
Mapping = Annotated[dict[Text, Any], Strict()]

Address = Annotated[IPv4Address, OfText(address)]
Network = Annotated[IPv4Network, OfText(network)]
Nameserver = Annotated[IPv4Address | Literal["router"], OfText(_nameserver)]
Nameservers = Annotated[tuple[Nameserver, ...], Strict(), Listed]
Texts = Annotated[tuple[Text, ...], Strict(), Listed]
InterfaceName = Annotated[
    Text,
    checked(_interface),
    matching(
        _INTERFACE,
        "an interface name (A-Z, a-z, 0-9, _ and -, at most 15 characters)",
        "one such as eth0",
    ),
]
UserName = Annotated[
    Text,
    checked(_user),
    matching(_USER, "a user name (a-z first, then a-z, 0-9, _ and -)", "one such as pi"),
]
HostName = Annotated[Text, checked(host_name)]
FilePath = Annotated[Path, OfText(path)]
Ssid = Annotated[Text, checked(_ssid)]
GuardSeconds = Annotated[Number, between(5, 900)]
