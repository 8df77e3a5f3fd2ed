"""
The kernel's command line in the Raspberry Pi's ``cmdline.txt``.

The firmware hands the first line to the kernel and ignores the others (Raspberry Pi documentation,
"Kernel command line (cmdline.txt)"). The kernel splits it at blanks outside of double quotes, drops
those around a value or a whole argument, takes ``-`` in a name for ``_``, and leaves what comes
after ``--`` to init (lib/cmdline.c, next_arg; kernel/params.c).
"""

from __future__ import annotations

import re

from formats.unreadable import Unreadable

# Since Debian 12 the file in /boot only names the new place.
_MOVED = "/boot/firmware"
_BLANKS = " \t\n\v\f\r\xa0"  # isspace(), lib/ctype.c
_ARGUMENT = re.compile(rf'(?:[^{_BLANKS}"]|"[^"]*(?:"|\Z))+')
_INIT = ("--", '"--"')
# The later one of these two counts.
_REVERTS = {"cgroup_enable": "cgroup_disable"}


def is_stub(text: str) -> bool:
    """Tell whether this is the note that the file has moved to /boot/firmware."""
    return _MOVED in text and "moved" in text


def arguments(text: str) -> list[str]:
    """
    Split the line into the kernel's arguments, as they are written.

    + text: the content of cmdline.txt or of /proc/cmdline
    """
    return _ARGUMENT.findall(_first_line(text))


def has(text: str, argument: str) -> bool:
    """
    Tell whether the kernel gets the argument, and no later one reverts it.

    + text: the content of cmdline.txt or of /proc/cmdline
    + argument: such as ``cgroup_enable=memory``, which is there in ``cgroup_enable=cpuset,memory``
    """
    name, _, value = argument.partition("=")
    other = _REVERTS.get(name)
    found = False
    for word in arguments(text):
        if word in _INIT:
            break
        its, _, values = _plain(word).partition("=")
        if its in (name, other) and value in (values.split(",") if other else [values]):
            found = its == name
    return found


def with_arguments(text: str, desired: list[str]) -> str:
    """
    Add arguments to the line, after those that are there.

    Further lines stay as they are (they have no effect).

    + text: the content of cmdline.txt
    + desired: such as ``["cgroup_enable=memory"]``; one that is there is not added again
    + raises ``Unreadable``: the first line is empty, or ends within a quotation
    """
    line = _first_line(text)
    if not line.strip(_BLANKS):
        raise Unreadable("an empty first line")
    if line.count('"') % 2:
        raise Unreadable(f"a quotation without an end in the first line: {line}")
    missing = [each for each in dict.fromkeys(desired) if not has(text, each)]
    if not missing:
        return text
    init = next((word.start() for word in _ARGUMENT.finditer(line) if word[0] in _INIT), None)
    parts = [line[:init].rstrip(_BLANKS), *missing, "" if init is None else line[init:]]
    return " ".join(filter(None, parts)) + text[len(line) :]


def without_argument(text: str, start: str) -> str:
    """
    Remove arguments from the line.

    + text: the content of cmdline.txt
    + start: how the arguments begin, such as ``"cfg80211.ieee80211_regdom="``
    """
    left = [argument for argument in arguments(text) if not _plain(argument).startswith(start)]
    if left == arguments(text):
        return text
    return " ".join(left) + text[len(_first_line(text)) :]


def _first_line(text: str) -> str:
    return re.split(r"[\r\n]", text, maxsplit=1)[0]


def _plain(argument: str) -> str:
    """Normalise an argument as the kernel compares it."""
    if argument.startswith('"'):
        argument = argument[1:].removesuffix('"')
    name, equals, value = argument.partition("=")
    if value.startswith('"'):
        value = value[1:].removesuffix('"')
    return name.replace("-", "_") + equals + value
