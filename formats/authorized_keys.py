"""OpenSSH's authorized_keys, sshd(8), "AUTHORIZED_KEYS FILE FORMAT".

``[options] type base64 [comment]``. Read as sshd reads it (OpenSSH's auth2-pubkeyfile.c,
auth-options.c): a line that it passes over, for one wrong option or a damaged key, holds no key
here either. Every line is kept as it is; a key is its type and its base64, never its comment.
"""

from __future__ import annotations

import binascii
import re
import socket
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from ipaddress import ip_address, ip_network

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

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
# Names of how an RSA key signs, which sshd takes for that of the key too.
_SIGNATURES = ("rsa-sha2-256", "rsa-sha2-512")
_NAMES = "|".join(map(re.escape, (*TYPES, *_SIGNATURES)))
# No sshd of today lets anyone in with it, but files still hold it.
_OLD_TYPES = ("ssh-dss",)

_PERMITS = ("agent-forwarding", "port-forwarding", "pty", "user-rc", "x11-forwarding")
_SWITCHES = (*_PERMITS, "touch-required", "verify-required")  # each also with no-
_FLAGS = (*_SWITCHES, *(f"no-{name}" for name in _SWITCHES), "restrict", "cert-authority")
_ONCE = ("command", "from", "principals")
_VALUES = (*_ONCE, "environment", "expiry-time", "permitlisten", "permitopen", "tunnel")
_QUOTED = r'"(?:\\"|[^"\\]|\\(?!"))*"'
_OPTION = re.compile(rf"(?i:{'|'.join(_FLAGS)}|(?:{'|'.join(_VALUES)})={_QUOTED})")
# Nothing between two commas is no mistake to sshd.
_LINE = re.compile(
    rf"(?:(?P<options>(?:{_OPTION.pattern})?(?:,(?:{_OPTION.pattern})?)*)[ \t]+)?"
    rf"(?P<type>{_NAMES})[ \t]+(?P<blob>[^ \t]+)[ \t]*(?P<comment>.*)",
    re.DOTALL,
)
_TIMES = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_MAX_TUNNEL = 0x7FFFFFFD


@dataclass(frozen=True)
class Key:
    """
    A key that lets someone in.

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
        """What makes two lines the same key. A certificate authority's key is another thing."""
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
    """The file's lines."""
    return [Line(line, _key(line)) for line in re.findall(r"[^\n]*\n|[^\n]+", text)]


def render(lines: Iterable[Line]) -> str:
    """The file's text; ``render(parse(text))`` is ``text``."""
    return "".join(line.text for line in lines)


def key(text: str, options: Sequence[str] | None = None) -> Key:
    """
    One key as a person gives it, checked; ``ValueError`` says what is wrong with it.

    + text: a line of authorized_keys, or the content of a ``.pub`` file
    + options: instead of those in the text
    """

    line = text.strip()
    if "\n" in line or "\r" in line:
        raise ValueError("a public key is one line, and this is several")
    if "PRIVATE KEY" in line:
        raise ValueError("this is a private key: give the public one, the file that ends in .pub")
    found = _key(line)
    if found is None:
        kinds = "|".join(map(re.escape, (*TYPES, *_OLD_TYPES)))
        types = re.search(rf"(?:^|\s)({kinds})(?:\s|$)", line)
        if types and types[1] in _OLD_TYPES:
            raise ValueError(f"{types[1]} keys are no longer accepted by sshd: make an ed25519 key")
        if types and line[: types.start()]:
            _check_options(line[: types.start()])
        why = "its base64 is damaged or cut short" if types else f"no type of {', '.join(TYPES)}"
        raise ValueError(f"{_short(line)!r} is no public key: {why}")
    if options is not None:
        for option in options:
            _check_option(option)
        normal(options)
        found = replace(found, options=tuple(options))
    if len(str(found).encode()) > MAX_LINE:
        raise ValueError(f"{_short(line)!r} is longer than the {MAX_LINE} bytes that sshd reads")
    return found


def normal(options: Sequence[str]) -> dict[str, object]:
    """
    What options come to: two lists with equal forms say the same to sshd.

    ``ValueError`` says why sshd passes over a line with these options, each of them well-formed.
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
            raise ValueError(f"the option {name} is given twice")
        else:
            _set_value(found, name, value[1:-1].replace('\\"', '"'))
    if "principals" in found and "cert-authority" not in found:
        raise ValueError("the option principals goes with cert-authority alone")
    defaults = {**dict.fromkeys(_PERMITS, True), "touch-required": True, "verify-required": False}
    return {name: value for name, value in found.items() if defaults.get(name) != value}


def _set_value(found: dict[str, object], name: str, value: str) -> None:
    """Of an environment's variables the first one counts, of tunnels the last, of times the
    earliest, and of ports each."""
    if name == "environment":
        variable, equals, _ = value.partition("=")
        if not (equals and re.fullmatch(r"[A-Za-z0-9_]+", variable)):
            raise ValueError(f"environment={value!r} is not NAME=value")
        found.setdefault(f"{name} {variable}", value)
    elif name == "expiry-time":
        found[name] = min(_time(value), found.get(name, _time(value)))  # type: ignore[call-overload]
        if found[name] < datetime.now(UTC):  # type: ignore[operator]
            raise ValueError(f"expiry-time={value!r} is over")
    elif name == "tunnel":
        if value.lower() != "any" and not _is_number(value, 0, _MAX_TUNNEL):
            raise ValueError(f"tunnel={value!r} is neither a number nor any")
        found[name] = value.lower()
    elif name in ("permitopen", "permitlisten"):
        if not _is_host_port(value, name == "permitlisten"):
            raise ValueError(f"{name}={value!r} is not host:port")
        found[f"{name} {value}"] = True
    else:
        if name == "from":
            _check_from(value)
        found[name] = value


def _time(value: str) -> datetime:
    """``YYYYMMDD[HHMM[SS]][Z]``; one without its Z is the node's own time, here taken for UTC."""
    digits = re.sub(r"(?i)(?<=.)(?:z|utc)$", "", value)
    try:
        return datetime.strptime(digits, _TIMES[len(digits)]).replace(tzinfo=UTC)
    except (KeyError, ValueError):
        raise ValueError(f"expiry-time={value!r} is no YYYYMMDD[HHMM[SS]][Z]") from None


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
    """sshd matches no address with a list of which it can't make sense."""
    for pattern in value.split(","):
        text = pattern.removeprefix("!")
        address, slash, length = text.partition("/")
        try:
            ip_address(address)
        except ValueError:
            if not text:
                raise ValueError(f"from={value!r} has an empty pattern") from None
            continue
        if slash and re.fullmatch("[0-9]+", length):
            ip_network(text)  # "10.0.0.1/8 has host bits set"


def put(lines: Sequence[Line], wanted: Key, options: bool) -> list[Line]:
    """
    The lines with the key in them: where it stands already, or at the end.

    + options: whether its options matter; then further lines with the same key go, because each
      would let it in with other options. Else a key that is there stays as it is.
    """

    mine = [i for i, line in enumerate(lines) if line.key and line.key.same == wanted.same]
    if not mine:
        return [*_closed(lines), Line(f"{wanted}\n", wanted)]
    if not options:
        return list(lines)
    kept = []
    for index, line in enumerate(lines):
        if index == mine[0]:
            kept.append(_with_options(line, wanted))
        elif index not in mine:
            kept.append(line)
    return kept


def remove(lines: Sequence[Line], unwanted: Collection[Key]) -> list[Line]:
    """The lines without these keys, however often they stand there."""
    gone = {key.same for key in unwanted}
    return [line for line in lines if not (line.key and line.key.same in gone)]


def only(lines: Sequence[Line], wanted: Collection[Key]) -> list[Line]:
    """The lines without any key but these; comments and blank lines are kept, riddles are not."""
    kept = {key.same for key in wanted}
    return [
        line
        for line in lines
        if (line.key.same in kept if line.key else line.text.strip()[:1] in ("", "#"))
    ]


def _with_options(line: Line, wanted: Key) -> Line:
    """The line as it is, when its options say the same; its own comment is kept."""
    if line.key is None or normal(line.key.options) == normal(wanted.options):
        return line
    changed = replace(line.key, options=wanted.options, comment=line.key.comment or wanted.comment)
    return Line(f"{changed}\n", changed)


def _closed(lines: Sequence[Line]) -> list[Line]:
    """The lines, the last one with a line feed too."""
    if lines and not lines[-1].text.endswith("\n"):
        return [*lines[:-1], replace(lines[-1], text=f"{lines[-1].text}\n")]
    return list(lines)


def _key(text: str) -> Key | None:
    """The key of a line that sshd would let someone in by."""
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
    """Whether it holds a key of that type, and nothing behind it."""
    try:
        if b64encode(b64decode(blob, validate=True)).decode() != blob:
            return False
        found = load_ssh_public_key(f"{kind} {blob}".encode())
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return False
    return not isinstance(found, RSAPublicKey) or found.key_size >= _MIN_RSA_BITS


def _check_options(text: str) -> None:
    """A person's mistake in the options before a key, named."""
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
        hint = f": did you mean {form}?" if close else ""
        raise ValueError(f"option {text!r} is none of sshd(8){hint}")
    raise ValueError(f'option {text!r}: its value stands in double quotes, {name}="…"')


def _short(line: str) -> str:
    return line if len(line) <= 40 else f"{line[:28]}…{line[-8:]}"
