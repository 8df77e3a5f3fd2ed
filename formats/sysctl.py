"""
Files of sysctl.d: the value of a kernel parameter that is in effect after a boot.

Source: sysctl.d(5), and ``src/sysctl/sysctl.c`` of systemd 257 for what the page leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from posixpath import basename, dirname

# A file hides those of the same name in later directories.
DIRECTORIES = ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d"]

# Two names of one variable of the kernel.
_SAME = {"net/ipv4/ip_forward": "net/ipv4/conf/all/forwarding"}


@dataclass(frozen=True)
class Assignment:
    """A value, and the file that sets it."""

    value: str
    path: str


def path_of(key: str) -> str:
    """``net.ipv4.ip_forward`` → ``net/ipv4/ip_forward``; the first separator says which it is."""
    first = re.search(r"[./]", key)
    if first is None or first[0] == "/":
        return key
    return key.translate(str.maketrans("./", "/."))


def plain(value: str) -> str:
    """Normalise a value: several numbers may be separated by any white space."""
    return " ".join(value.split())


def at_boot(files: Mapping[str, str], key: str) -> Assignment | None:
    """
    Find a parameter's value after a boot, and the file that sets it; None: no file does.

    + files: content by path, of all files in ``DIRECTORIES``
    + key: the parameter
    """
    explicit: dict[str, Assignment] = {}
    globs: dict[str, Assignment] = {}
    order: list[str] = []
    for path in _in_order(files):
        for name, value in _assignments(files[path]):
            into = globs if re.search(r"[*?\[]", name) else explicit
            if name in into and into[name].value == value:
                continue  # systemd keeps the earlier one in its place
            into[name] = Assignment(value, path)
            order = [*(other for other in order if other != name), name]
    desired = path_of(key)
    names = {desired, _SAME.get(desired, desired)}
    found = None
    for name in order:  # a pattern never overrides a setting that is named in full
        if name in names and name in explicit:
            found = explicit[name]
        elif name in globs and any(fnmatchcase(n, name) for n in names - explicit.keys()):
            found = globs[name]
    return found


def _in_order(files: Mapping[str, str]) -> list[str]:
    """Sort paths in the order in which they are read: by file name, in any directory."""
    seen: dict[str, str] = {}
    for directory in DIRECTORIES:
        for path in files:
            if dirname(path) == directory:
                seen.setdefault(basename(path), path)
    return [seen[name] for name in sorted(seen)]


def _assignments(text: str) -> list[tuple[str, str]]:
    found = []
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        name = name.strip().removeprefix("-")
        if equals and name[:1] not in ("#", ";"):
            found.append((path_of(name.strip()), plain(value)))
    return found
