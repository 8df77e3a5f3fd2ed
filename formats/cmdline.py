"""
The kernel's command line in the Raspberry Pi's ``cmdline.txt``.

The firmware hands the first line to the kernel and ignores the others (Raspberry Pi documentation,
"Kernel command line (cmdline.txt)"). The kernel splits it at blanks outside of double quotes, drops
those around a value or a whole argument, takes ``-`` in a name for ``_``, and leaves what comes
after ``--`` to init (lib/cmdline.c, next_arg; kernel/params.c).
"""

from __future__ import annotations

import re

# Since Debian 12 the file in /boot only says where the true one is.
_MOVED = "/boot/firmware"
_BLANKS = " \t\n\v\f\r\xa0"  # isspace(), lib/ctype.c
_ARGUMENT = re.compile(rf'(?:[^{_BLANKS}"]|"[^"]*(?:"|\Z))+')
_INIT = ("--", '"--"')
# Of these two the later one counts.
_TAKEN_BACK = {"cgroup_enable": "cgroup_disable"}


def is_stub(text: str) -> bool:
    """Whether this is no command line but the note that the file has moved to /boot/firmware."""
    return _MOVED in text and "moved" in text


def arguments(text: str) -> list[str]:
    """
    The arguments that the kernel gets, as they are written.

    + text: the content of cmdline.txt or of /proc/cmdline
    """
    return _ARGUMENT.findall(_first_line(text))


def has(text: str, argument: str) -> bool:
    """
    Whether the kernel gets the argument, and no later one takes it back.

    + text: the content of cmdline.txt or of /proc/cmdline
    + argument: such as ``cgroup_enable=memory``, which is there in ``cgroup_enable=cpuset,memory``
    """
    name, _, value = argument.partition("=")
    other = _TAKEN_BACK.get(name)
    found = False
    for word in arguments(text):
        if word in _INIT:
            break
        its, _, values = _plain(word).partition("=")
        if its in (name, other) and value in (values.split(",") if other else [values]):
            found = its == name
    return found


def with_arguments(text: str, wanted: list[str]) -> str:
    """
    The same file with the wanted arguments on its one line, after those that are there.

    + text: the content of cmdline.txt
    + wanted: such as ``["cgroup_enable=memory"]``; one that is there already is not added again

    What stands on further lines stays there (and stays without effect). ``ValueError`` for a file
    whose first line is empty or ends within a quotation: there is no command line to add to.
    """
    line = _first_line(text)
    if not line.strip(_BLANKS):
        raise ValueError("its first line is empty")
    if line.count('"') % 2:
        raise ValueError(f"a quotation in its first line has no end, put that right: {line}")
    missing = [each for each in dict.fromkeys(wanted) if not has(text, each)]
    if not missing:
        return text
    init = next((word.start() for word in _ARGUMENT.finditer(line) if word[0] in _INIT), None)
    parts = [line[:init].rstrip(_BLANKS), *missing, "" if init is None else line[init:]]
    return " ".join(filter(None, parts)) + text[len(line) :]


def without_argument(text: str, start: str) -> str:
    """
    The same file without the arguments on its one line that begin so.

    + text: the content of cmdline.txt
    + start: such as ``"cfg80211.ieee80211_regdom="``
    """
    left = [argument for argument in arguments(text) if not _plain(argument).startswith(start)]
    if left == arguments(text):
        return text
    return " ".join(left) + text[len(_first_line(text)) :]


def _first_line(text: str) -> str:
    return re.split(r"[\r\n]", text, maxsplit=1)[0]


def _plain(argument: str) -> str:
    """An argument as the kernel compares it."""
    if argument.startswith('"'):
        argument = argument[1:].removesuffix('"')
    name, equals, value = argument.partition("=")
    if value.startswith('"'):
        value = value[1:].removesuffix('"')
    return name.replace("-", "_") + equals + value
