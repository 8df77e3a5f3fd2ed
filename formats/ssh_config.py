"""OpenSSH's client configuration, ssh_config(5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True)
class Host:
    """
    A Host section.

    + name: the name that is typed
    + options: (keyword, value) in order; a path is quoted when it has blanks (its "%" and "${" are
      OpenSSH's tokens, not escaped here)
    """

    name: str
    options: Sequence[tuple[str, str | int | PurePath]]


# pyinfra splits UserKnownHostsFile at blanks even inside quotes; OpenSSH expands % and ${.
_UNFIT = set(" \t\"'%$#")


def unfit(path: PurePath) -> str:
    """Show the characters of a path that the file can't hold; "" when there is none."""
    found = "".join(sorted(_UNFIT & set(str(path))))
    return repr(found) if found else ""


def render(hosts: Iterable[Host], comment: str) -> str:
    """Write the file, with the comment as its first lines."""
    sections = ["".join(f"# {line}\n" for line in comment.splitlines())]
    for host in hosts:
        lines = "".join(f"  {keyword} {_value(value)}\n" for keyword, value in host.options)
        sections.append(f"Host {host.name}\n{lines}")
    return "\n".join(sections)


def _value(value: str | int | PurePath) -> str:
    if not isinstance(value, PurePath):
        return str(value)
    text = str(value)
    return f'"{text}"' if " " in text else text


def moved(text: str, name: str, address: str) -> str:
    """
    Change a host's HostName in a file that ``render`` wrote.

    + name: the host's; a file without it stays as it is
    """
    section = rf"(?ms)^(Host {re.escape(name)}\n(?:  [^\n]*\n)*?  HostName )\S+$"
    return re.sub(section, lambda match: f"{match[1]}{address}", text)
