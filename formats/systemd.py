"""What the units of systemd share that bramble writes: systemd.service(5), systemd.syntax(7)."""

from __future__ import annotations

from collections.abc import Iterable

# A word with other characters needs quotes.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-=./:@,+")

HEAD = "# Written by bramble: changes made here are undone by its next run."
# For a service that needs the network, and nothing of the system.
SANDBOX = """\
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes"""


def command_line(words: Iterable[str]) -> str:
    """Write words for ``ExecStart=``: variables, escapes and specifiers in them are escaped."""
    return " ".join(map(_word, words))


def _word(word: str) -> str:
    if "\n" in word:
        raise ValueError("a line feed can't stand in a unit's command line")
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$").replace("%", "%%")
    return escaped if word and set(word) <= _PLAIN else f'"{escaped}"'
