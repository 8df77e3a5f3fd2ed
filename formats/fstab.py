"""
/etc/fstab, as far as swap goes: what systemd-fstab-generator(8) turns on at boot.

It reads the file by getmntent(3): fields end at blanks and tabs alone (a carriage return is part of
one), a line has 4095 bytes. Of ``auto`` and ``noauto`` the last one counts.
"""

from __future__ import annotations

import re

MARK = "# bramble: no swap on a Kubernetes node: "
_READ = 4095


def swap_lines(text: str) -> list[str]:
    """
    The lines that turn swap on at boot.

    + text: the content of /etc/fstab

    A line with the option ``noauto`` turns nothing on.
    """
    return [line for line in text.split("\n") if _is_swap(line)]


def without_swap(text: str) -> str:
    """
    The same file with each of those lines behind a mark, so that a person can put it back.

    + text: the content of /etc/fstab
    """
    lines = text.split("\n")
    return "\n".join(MARK + line.lstrip(" \t") if _is_swap(line) else line for line in lines)


def _is_swap(line: str) -> bool:
    read = line.encode("utf-8", "surrogateescape")[:_READ].partition(b"\0")[0]
    fields = re.split(rb"[ \t]+", read.strip(b" \t"))
    if fields[0].startswith(b"#") or len(fields) < 3 or fields[2] != b"swap":
        return False
    # getmntent(3) makes one backslash of two; to systemd a comma behind one is part of the option.
    text = re.sub(rb"\\(?:\\|134)", rb"\\", b"".join(fields[3:4]))
    options = re.findall(rb"(?:[^,\\]|\\.?)+", text, re.DOTALL)
    named = [
        name for option in options if (name := option.partition(b"=")[0]) in (b"auto", b"noauto")
    ]
    return named[-1:] != [b"noauto"]
