"""OpenSSH's authorized_keys, sshd(8), "AUTHORIZED_KEYS FILE FORMAT".

``[options] type base64 [comment]``. Read as sshd's auth2-pubkeyfile.c reads it: a line that begins
with a key type has no options; else they last until the first blank outside double quotes, inside
which ``\\"`` is a quotation mark. Every line is kept as it is; a key is its type and its base64,
never its comment.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

MAX_LINE = 8192  # bytes, sshd(8)
TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
# No sshd of today lets anyone in with it, but files still hold it.
_OLD_TYPES = ("ssh-dss",)

_FLAGS = (
    "agent-forwarding",
    "cert-authority",
    "no-agent-forwarding",
    "no-port-forwarding",
    "no-pty",
    "no-touch-required",
    "no-user-rc",
    "no-x11-forwarding",
    "port-forwarding",
    "pty",
    "restrict",
    "user-rc",
    "verify-required",
    "x11-forwarding",
)
_VALUES = (
    "command",
    "environment",
    "expiry-time",
    "from",
    "permitlisten",
    "permitopen",
    "principals",
    "tunnel",
)
_QUOTED = r'"(?:\\"|[^"\\]|\\(?!"))*"'
_OPTIONS = re.compile(rf'(?:[^"\s]|{_QUOTED})+')
_OPTION = re.compile(rf'(?:[^",]|{_QUOTED})+')


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
        return self.type, self.blob.rstrip("="), "cert-authority" in normal(self.options)

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
        types = re.search(rf"(?:^|\s)(?:{kinds})(?:\s|$)", line)
        why = "its base64 is damaged or cut short" if types else f"no type of {', '.join(TYPES)}"
        raise ValueError(f"{_short(line)!r} is no public key: {why}")
    if found.type in _OLD_TYPES:
        raise ValueError(f"{found.type} keys are no longer accepted by sshd: make an ed25519 key")
    if options is not None:
        found = replace(found, options=tuple(options))
    for option in found.options:
        _check_option(option)
    if len(str(found).encode()) > MAX_LINE:
        raise ValueError(f"{_short(line)!r} is longer than the {MAX_LINE} bytes that sshd reads")
    return found


def normal(options: Sequence[str]) -> tuple[str, ...]:
    """
    Options in one form: two lists with equal forms say the same.

    Order counts only where a ``restrict`` or a ``no-`` could be taken back by what follows.
    """

    names = []
    for option in options:
        name, equals, value = option.partition("=")
        names.append(name.lower() + equals + value)
    ordered = any(name == "restrict" or name.startswith("no-") for name in names)
    undone = any(name in _FLAGS and f"no-{name}" in _FLAGS for name in names)
    return tuple(names) if ordered and undone else tuple(sorted(names))


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
    line = text.strip(" \t\r\n")
    if not line or line.startswith("#"):
        return None
    found = _bare(line)
    if found is not None:
        return found
    match = _OPTIONS.match(line)
    if match is None or line[match.end() : match.end() + 1] not in (" ", "\t"):
        return None
    found = _bare(line[match.end() :].lstrip(" \t"))
    return found and replace(found, options=tuple(_OPTION.findall(match[0])))


def _bare(text: str) -> Key | None:
    """``type base64 [comment]``, when the base64 holds a key of that type."""
    words = re.split(r"[ \t]+", text, maxsplit=2)
    if len(words) < 2 or words[0] not in (*TYPES, *_OLD_TYPES):
        return None
    try:
        blob = b64decode(words[1] + "=" * (-len(words[1]) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    if not blob.startswith(len(words[0]).to_bytes(4, "big") + words[0].encode()):
        return None
    if not _whole(blob):
        return None
    return Key(words[0], words[1], (), words[2] if len(words) > 2 else "")


def _whole(blob: bytes) -> bool:
    """Whether it is made of length-prefixed strings (RFC 4251, 5) to its very end."""
    parts = 0
    while blob:
        length = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + length:
            return False
        blob = blob[4 + length :]
        parts += 1
    return parts > 1


def _check_option(text: str) -> None:
    name, equals, value = text.partition("=")
    known = _VALUES if equals else _FLAGS
    if name.lower() not in known:
        close = get_close_matches(name.lower(), _FLAGS + _VALUES, 1)
        form = f'{close[0]}="…"' if close and close[0] in _VALUES else "".join(close)
        hint = f": did you mean {form}?" if close else ""
        raise ValueError(f"option {text!r} is none of sshd(8){hint}")
    if equals and not (re.fullmatch(_QUOTED, value) and "\n" not in value):
        raise ValueError(f'option {text!r}: its value stands in double quotes, {name}="…"')


def _short(line: str) -> str:
    return line if len(line) <= 40 else f"{line[:28]}…{line[-8:]}"
