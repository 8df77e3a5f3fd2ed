"""
OpenSSH's authorized_keys, sshd(8), "AUTHORIZED_KEYS FILE FORMAT".

``[options] type base64 [comment]``. Read as sshd reads it (OpenSSH's auth2-pubkeyfile.c,
auth-options.c): a line that sshd ignores, for a wrong option or a damaged key, holds no key. Every
line is kept as it is; a key is identified by its type and its base64, never by its comment.
"""

from __future__ import annotations

import binascii
import re
import socket
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from ipaddress import ip_address, ip_network

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from messages.formats import KEY_OPTION, NOT_A_PUBLIC_KEY, PRIVATE_KEY

MAX_LINE = 8192  # bytes, sshd(8)
_MIN_RSA_BITS = 1024  # RequiredRSASize, sshd_config(5)
TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
# Signature algorithms of RSA keys, which sshd accepts in place of the key's type.
_SIGNATURES = ("rsa-sha2-256", "rsa-sha2-512")
_NAMES = "|".join(map(re.escape, (*TYPES, *_SIGNATURES)))
# Current sshd accepts no keys of this type, but files still contain them.
_OLD_TYPES = ("ssh-dss",)

_PERMITS = ("agent-forwarding", "port-forwarding", "pty", "user-rc", "x11-forwarding")
_SWITCHES = (*_PERMITS, "touch-required", "verify-required")  # each also with no-
_FLAGS = (*_SWITCHES, *(f"no-{name}" for name in _SWITCHES), "restrict", "cert-authority")
_ONCE = ("command", "from", "principals")
_VALUES = (*_ONCE, "environment", "expiry-time", "permitlisten", "permitopen", "tunnel")
_QUOTED = r'"(?:\\"|[^"\\]|\\(?!"))*"'
_OPTION = re.compile(rf"(?i:{'|'.join(_FLAGS)}|(?:{'|'.join(_VALUES)})={_QUOTED})")
# sshd allows nothing between two commas.
_LINE = re.compile(
    rf"(?:(?P<options>(?:{_OPTION.pattern})?(?:,(?:{_OPTION.pattern})?)*)[ \t]+)?"
    rf"(?P<type>{_NAMES})[ \t]+(?P<blob>[^ \t]+)[ \t]*(?P<comment>.*)",
    re.DOTALL,
)
# As strptime(3) reads it; mktime(3) takes 31 April for 1 May.
_TIME = re.compile(
    "([0-9]{4})(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])"
    "(?:([01][0-9]|2[0-3])([0-5][0-9])([0-5][0-9]|6[01])?)?(?i:Z|UTC)?"
)
_NO_ADDRESS = re.compile(r"^!|[]\s[]|/(?!\s*\+?[0-9]+$)|[*?].*/", re.ASCII)
_MAX_TUNNEL = 0x7FFFFFFD


@dataclass(frozen=True)
class Key:
    """
    A key that gives access.

    + type: one of ``TYPES``
    + blob: base64, without line breaks
    + options: each as it is written, such as ``no-pty`` or ``from="192.168.1.0/24"``
    + comment: anything; means nothing to sshd
    """

    type: str
    blob: str
    options: tuple[str, ...] = ()
    comment: str = ""

    @property
    def same(self) -> tuple[str, str, bool]:
        """What identifies a key. A certificate authority's key is a different one."""
        return self.type, self.blob, "cert-authority" in normal(self.options)

    def __str__(self) -> str:
        """The line, without its line feed."""
        words = (",".join(self.options), self.type, self.blob, self.comment)
        return " ".join(word for word in words if word)


@dataclass(frozen=True)
class Line:
    """One line as it stands, with its line feed; ``key`` is None where it holds none."""

    text: str
    key: Key | None = None


def parse(text: str) -> list[Line]:
    """Read the file's lines."""
    return [Line(line, _key(line)) for line in re.findall(r"[^\n]*\n|[^\n]+", text)]


def render(lines: Iterable[Line]) -> str:
    """Write the file; ``render(parse(text))`` is ``text``."""
    return "".join(line.text for line in lines)


def key(text: str) -> Key:
    """
    Read one key as a person gives it.

    + text: a line of authorized_keys, or the content of a ``.pub`` file
    + raises ``ValueError``: sshd would not accept it
    """
    line = text.strip()
    if "PRIVATE KEY" in line:
        raise ValueError(PRIVATE_KEY())
    if "\n" in line or "\r" in line:
        raise _not_a_key(line, "it has several lines")
    found = _key(line)
    if found is None:
        kinds = "|".join(map(re.escape, (*TYPES, *_OLD_TYPES)))
        types = re.search(rf"(?:^|\s)({kinds})(?:\s|$)", line)
        if types and types[1] in _OLD_TYPES:
            raise _not_a_key(line, f"sshd no longer accepts {types[1]}")
        if types and line[: types.start()]:
            _check_options(line[: types.start()])
        raise _not_a_key(line, "its base64 is damaged" if types else "it has no known type")
    if len(str(found).encode()) > MAX_LINE:
        raise _not_a_key(line, f"sshd reads at most {MAX_LINE} bytes")
    return found


def _not_a_key(line: str, reason: str) -> ValueError:
    short = line if len(line) <= 40 else f"{line[:28]}…{line[-8:]}"
    return ValueError(NOT_A_PUBLIC_KEY(key=repr(short), reason=reason))


def normal(options: Sequence[str]) -> dict[str, object]:
    """
    Normalise options: two lists with equal forms mean the same to sshd.

    + options: each of them well-formed
    + raises ``ValueError``: sshd ignores a line with these options
    """
    found: dict[str, object] = dict.fromkeys(_PERMITS, True)
    for option in options:
        name, equals, value = option.partition("=")
        name = name.lower()
        if name == "restrict":
            found |= {**dict.fromkeys(_PERMITS, False), name: True}
        elif not equals:
            found[name.removeprefix("no-")] = not name.startswith("no-")
        elif name in found and name in _ONCE:
            raise _wrong(name, "given twice")
        else:
            _set_value(found, name, value[1:-1].replace('\\"', '"'))
    if "principals" in found and "cert-authority" not in found:
        raise _wrong("principals", "it needs cert-authority")
    defaults = {**dict.fromkeys(_PERMITS, True), "touch-required": True, "verify-required": False}
    return {name: value for name, value in found.items() if defaults.get(name) != value}


def _wrong(option: str, reason: str) -> ValueError:
    return ValueError(KEY_OPTION(option=option, reason=reason))


def _set_value(found: dict[str, object], name: str, value: str) -> None:
    """Set a value: of an environment's variables the first counts, of tunnels the last, of times
    the earliest, of ports each."""
    shown = f"{name}={value!r}"
    if name == "environment":
        variable, equals, _ = value.partition("=")
        if not (equals and re.fullmatch(r"[A-Za-z0-9_]+", variable)):
            raise _wrong(shown, "not NAME=value")
        found.setdefault(f"{name} {variable}", value)
    elif name == "expiry-time":
        found[name] = min(_time(value), found.get(name, _time(value)))  # type: ignore[call-overload]
        if found[name] < datetime.now(UTC):  # type: ignore[operator]
            raise _wrong(shown, "expired")
    elif name == "tunnel":
        if value.lower() != "any" and not _is_number(value, 0, _MAX_TUNNEL):
            raise _wrong(shown, 'neither a number nor "any"')
        found[name] = value.lower()
    elif name in ("permitopen", "permitlisten"):
        if not _is_host_port(value, name == "permitlisten"):
            raise _wrong(shown, "not host:port")
        found[f"{name} {value}"] = True
    else:
        if name == "from":
            _check_from(value)
        found[name] = value


def _time(value: str) -> datetime:
    """Read ``YYYYMMDD[HHMM[SS]][Z]``; without Z it is the node's local time, taken as UTC here."""
    parts = _TIME.fullmatch(value)
    if parts is None:
        raise _wrong(f"expiry-time={value!r}", "not YYYYMMDD[HHMM[SS]][Z]")
    year, month, day, hour, minute, second = (int(part or 0) for part in parts.groups())
    since = timedelta(days=day - 1, hours=hour, minutes=minute, seconds=second)
    return datetime(min(max(year, 1), 9998), month, 1, tzinfo=UTC) + since


def _is_number(text: str, least: int, most: int) -> bool:
    """As strtonum(3) reads it."""
    digits = re.fullmatch(r"[ \t\v\f\r]*([+-]?[0-9]+)", text)
    return digits is not None and least <= int(digits[1]) <= most


def _is_host_port(text: str, bare_port: bool) -> bool:
    if bare_port and ":" not in text:
        text = f"*:{text}"
    parts = re.fullmatch(r"(\[[^]]*\]|[^\[:/][^:/]*|)[:/](.*)", text, re.DOTALL)
    if not parts or len(parts[1]) >= socket.NI_MAXHOST:
        return False
    if parts[2] == "*" or _is_number(parts[2], 1, 65535):
        return True
    try:
        return socket.getservbyname(parts[2], "tcp") > 0
    except OSError:
        return False


def _check_from(value: str) -> None:
    """Check the patterns: with a wrong one, or without one that can match, nobody is let in."""
    patterns = value.split(",")
    if all(map(_NO_ADDRESS.search, patterns)):
        raise _wrong(f"from={value!r}", "it matches no address")
    for pattern in patterns:
        text = pattern.removeprefix("!")
        address, slash, length = text.partition("/")
        try:
            ip_address(address)
        except ValueError:
            if not text:
                raise _wrong(f"from={value!r}", "an empty pattern") from None
            continue
        if slash and re.fullmatch(r"\s*\+?[0-9]+", length, re.ASCII):
            try:
                ip_network(f"{address}/{int(length)}")
            except ValueError as error:
                raise _wrong(f"from={value!r}", str(error)) from None


def put(lines: Sequence[Line], desired: Key) -> list[Line]:
    """
    Put the key into the lines: where it already is, or at the end.

    Its options replace those in the file, and further lines with the same key are removed, since
    each would give access with other options. Without options, a key that is there stays as it is.
    """
    mine = [i for i, line in enumerate(lines) if line.key and line.key.same == desired.same]
    if not mine:
        return [*_closed(lines), Line(f"{desired}\n", desired)]
    if not desired.options:
        return list(lines)
    kept = []
    for index, line in enumerate(lines):
        if index == mine[0]:
            kept.append(_with_options(line, desired))
        elif index not in mine:
            kept.append(line)
    return kept


def remove(lines: Sequence[Line], unwanted: Collection[Key]) -> list[Line]:
    """Remove these keys, however often they are there."""
    gone = {key.same for key in unwanted}
    return [line for line in lines if not (line.key and line.key.same in gone)]


def _with_options(line: Line, desired: Key) -> Line:
    """Give the line the key's options, unless they mean the same; its comment is kept."""
    if line.key is None or normal(line.key.options) == normal(desired.options):
        return line
    changed = replace(
        line.key, options=desired.options, comment=line.key.comment or desired.comment
    )
    return Line(f"{changed}\n", changed)


def _closed(lines: Sequence[Line]) -> list[Line]:
    """Complete the last line with a line feed."""
    if lines and not lines[-1].text.endswith("\n"):
        return [*lines[:-1], replace(lines[-1], text=f"{lines[-1].text}\n")]
    return list(lines)


def _key(text: str) -> Key | None:
    """Read the key of a line; None where sshd ignores the line."""
    match = _LINE.fullmatch(text.partition("\0")[0].lstrip(" \t"))
    if match is None:
        return None
    blob = re.sub(r"[ \t\n\v\f\r]", "", match["blob"])
    options = tuple(each[0] for each in _OPTION.finditer(match["options"] or ""))
    try:
        normal(options)
    except ValueError:
        return None
    kind = "ssh-rsa" if match["type"] in _SIGNATURES else match["type"]
    if not _is_whole(kind, blob):
        return None
    return Key(kind, blob, options, match["comment"].strip(" \t\r\n"))


def _is_whole(kind: str, blob: str) -> bool:
    """Tell whether the base64 is one key of that type, and nothing more."""
    try:
        if b64encode(b64decode(blob, validate=True)).decode() != blob:
            return False
        found = load_ssh_public_key(f"{kind} {blob}".encode())
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return False
    return not isinstance(found, RSAPublicKey) or found.key_size >= _MIN_RSA_BITS


def _check_options(text: str) -> None:
    """Raise ``ValueError`` for a mistake in the options before a key."""
    for option in re.findall(rf'(?:[^",]|{_QUOTED}|")+', text.strip()):
        _check_option(option)
    normal([each[0] for each in _OPTION.finditer(text)])


def _check_option(text: str) -> None:
    if _OPTION.fullmatch(text):
        return
    name, equals, _ = text.partition("=")
    known = _VALUES if equals else _FLAGS
    if name.lower() not in known:
        close = get_close_matches(name.lower(), _FLAGS + _VALUES, 1)
        form = f'{close[0]}="…"' if close and close[0] in _VALUES else "".join(close)
        near = f"; the nearest is {form}" if close else ""
        raise _wrong(repr(text), f"not an option of sshd(8){near}")
    raise _wrong(repr(text), f'its value must be in double quotes, {name}="…"')
