"""
The kernel's command line in the Raspberry Pi's ``cmdline.txt``.

The firmware hands the first line to the kernel and ignores the others (Raspberry Pi documentation,
"Kernel command line (cmdline.txt)"); a value with spaces stands in double quotes (kernel,
Documentation/admin-guide/kernel-parameters.rst).
"""

from __future__ import annotations

import re

# Since Debian 12 the file in /boot only says where the true one is.
_MOVED = "/boot/firmware"
_ARGUMENT = re.compile(r'(?:[^\s"]|"[^"]*"?)+')


def is_stub(text: str) -> bool:
    """Whether this is no command line but the note that the file has moved to /boot/firmware."""
    return _MOVED in text and "moved" in text


def arguments(text: str) -> list[str]:
    """
    The arguments that the kernel gets.

    + text: the content of cmdline.txt or of /proc/cmdline
    """
    return _ARGUMENT.findall(_first_line(text))


def with_arguments(text: str, wanted: list[str]) -> str:
    """
    The same file with the wanted arguments on its one line, after those that are there.

    + text: the content of cmdline.txt
    + wanted: such as ``["cgroup_enable=memory"]``; one that is there already is not added again

    What stands on further lines stays there (and stays without effect). ``ValueError`` for a file
    whose first line is empty: it holds no command line to add to.
    """
    line = _first_line(text)
    if not line.strip():
        raise ValueError("its first line is empty")
    missing = [argument for argument in wanted if argument not in arguments(text)]
    return " ".join([line.rstrip(), *missing]) + text[len(line) :] if missing else text


def without_argument(text: str, start: str) -> str:
    """
    The same file without the arguments on its one line that begin so.

    + text: the content of cmdline.txt
    + start: such as ``"cfg80211.ieee80211_regdom="``
    """
    if not any(argument.startswith(start) for argument in arguments(text)):
        return text
    left = [argument for argument in arguments(text) if not argument.startswith(start)]
    return " ".join(left) + text[len(_first_line(text)) :]


def _first_line(text: str) -> str:
    return re.split(r"[\r\n]", text, maxsplit=1)[0]
