"""
apt: deb822 sources (sources.list(5)), package indexes, and the output of apt-get.

apt's progress lines: README.progress-reporting in apt's documentation, option ``APT::Status-Fd``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from formats.shared_downloads import PORT
from formats.unreadable import Unreadable
from messages import Said
from messages import formats as messages

_STATUS = re.compile(r"(dlstatus|pmstatus):[^:]*(?::[^:]+)?:([0-9.]+):(.*)")
_NOISE = re.compile(r"(?:dlstatus|pmstatus|pmconffile|media-change):")
_TROUBLE = re.compile(r"(?:Err|E|W)(?::\d+)?[:,]? ")
_LOCKED = re.compile("Could not get lock|Unable to acquire the dpkg|lock was locked by another")
_OUTDATED = re.compile(
    "Unable to locate package|has no installation candidate|but it is not installable| 404 "
    "|maybe run apt-get update"
)
_CACHE = re.compile(rf"connect to \S+:{PORT}\b|\[IP: \S+ {PORT}\]")
_EXPIRED = re.compile(r"EXPKEYSIG|\bkey\b.*\bexpired\b")
_UNSIGNED = re.compile("NO_PUBKEY|Missing key|signatures couldn't be verified|BADSIG|Bad signature")
_UNREACHABLE = re.compile(
    "Temporary failure resolving|Could not resolve|(Could not|Unable to) connect"
    "|Connection (timed out|failed|refused)|Network is unreachable|No route to host"
)

# Inst openssl [3.5.1-1] (3.5.1-1+deb13u1 Debian-Security:13/stable-security [arm64]) []
_INSTALLS = re.compile(r"Inst (\S+) (?:\[(\S+)\] )?\((\S+) (.*)\).*")
_REMOVES = re.compile(r"Remv (\S+) .*")


@dataclass(frozen=True)
class Installation:
    """
    What would be installed of one package.

    + before: the installed version; "": none
    + after: the version that it would be
    + security: whether it comes from an archive of security updates
    """

    before: str
    after: str
    security: bool


def available_versions(packages: str, name: str) -> list[str]:
    """
    Read the versions of a package in a repository's index, in its order.

    + packages: the text of its Packages file: stanzas as in deb822(5)
    + name: the package's
    """
    found = []
    for stanza in packages.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line)
        if fields.get("Package") == name and "Version" in fields:
            found.append(fields["Version"])
    return found


def source(uri: str, suites: str, signed_by: str) -> str:
    """
    Write a file for /etc/apt/sources.list.d, ``*.sources``.

    + uri: where the repository is
    + suites: "/" for a flat repository, which has no components
    + signed_by: the key file
    """
    fields = {"Types": "deb", "URIs": uri, "Suites": suites, "Signed-By": signed_by}
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


def simulated(lines: Sequence[str]) -> tuple[dict[str, Installation], list[str]]:
    """
    Read what ``apt-get --simulate`` would do.

    + lines: those that begin with Inst or Remv
    + returns: what would be installed, and what removed, by package
    + raises ``Unreadable``
    """
    installs, removes = {}, []
    for line in lines:
        if match := _INSTALLS.fullmatch(line):
            security = "security" in match[4].lower()
            installs[match[1]] = Installation(match[2] or "", match[3], security)
        elif match := _REMOVES.fullmatch(line):
            removes.append(match[1])
        else:
            raise Unreadable(line)
    return installs, removes


def progress(line: str) -> tuple[float, str] | None:
    """
    Read apt's progress: downloading counts to 100, then installing counts again.

    + line: one line of its output
    + returns: percent and the current step; None for a line without progress
    """
    match = _STATUS.match(line)
    return (float(match[2]), match[3].strip()) if match else None


def is_lock(lines: Sequence[str]) -> bool:
    """Tell whether apt failed because another apt or dpkg is running."""
    return any(map(_LOCKED.search, lines))


def wants_source(lines: Sequence[str]) -> bool:
    """Tell whether apt failed at the node that keeps downloads, so that the source can help."""
    return any(map(_CACHE.search, lines))


def wants_update(lines: Sequence[str]) -> bool:
    """Tell whether apt failed because of old package lists, so that an update can help."""
    return any(map(_OUTDATED.search, lines))


def reason(lines: Sequence[str]) -> Said:
    """
    Explain why apt-get failed.

    + lines: all that it printed, both streams
    """
    said = [line.strip() for line in lines if line.strip() and not _NOISE.match(line)]
    text = "\n".join(said)
    if "No space left on device" in text or "enough free space" in text:
        return messages.DISK_FULL()
    if is_lock(said):
        holder = re.search(r"held by process \d+(?: \([^)]*\))?", text)
        return messages.APT_BUSY(holder=f" ({holder[0]})" if holder else "")
    if _EXPIRED.search(text):
        return messages.SIGNING_KEY_EXPIRED()
    if _UNSIGNED.search(text):
        return messages.NOT_SIGNED()
    if found := next(filter(_UNREACHABLE.search, said), None):
        return messages.SERVER_UNREACHABLE(line=_short(found))
    if found := next((line for line in said if "Failed to fetch" in line), None):
        return messages.FETCH_FAILED(line=_short(found))
    if "is not signed" in text:
        return messages.NOT_SIGNED()
    errors = [line for line in said if line.startswith("E: ") and "Sub-process" not in line]
    errors = errors or [
        f"{line} {after.strip()}" if line.endswith(":") else line
        for line, after in zip(said, [*said[1:], ""], strict=False)
        if line.startswith("dpkg: error")
    ]
    trouble = [line for line in said if _TROUBLE.match(line)]
    found = (errors or trouble or said[-1:] or ["it printed nothing"])[0]
    return messages.APT_FAILED(line=_short(found))


def _short(line: str) -> str:
    line = _TROUBLE.sub("", line, count=1)
    return line if len(line) <= 200 else f"{line[:199]}…"
