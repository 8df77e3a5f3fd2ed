"""
/etc/fstab: the swap that systemd-fstab-generator(8) turns on at boot.

It reads the file with getmntent(3): fields end at blanks and tabs only (not at a carriage return),
a line has at most 4095 bytes. Of ``auto`` and ``noauto`` the last one counts.
"""

from __future__ import annotations

import re

MARK = "# bramble: no swap on a Kubernetes node: "
_READ = 4095


def swap_lines(text: str) -> list[str]:
    """
    Find the lines that turn swap on at boot.

    + text: the content of /etc/fstab

    A line with the option ``noauto`` turns nothing on.
    """
    return [line for line in text.split("\n") if _is_swap(line)]


def without_swap(text: str) -> str:
    """
    Comment each of those lines out with a mark, so that a person can restore it.

    + text: the content of /etc/fstab
    """
    lines = text.split("\n")
    return "\n".join(MARK + line.lstrip(" \t") if _is_swap(line) else line for line in lines)


def _is_swap(line: str) -> bool:
    read = line.encode("utf-8", "surrogateescape")[:_READ].partition(b"\0")[0]
    fields = re.split(rb"[ \t]+", read.strip(b" \t"))
    if fields[0].startswith(b"#") or len(fields) < 3 or fields[2] != b"swap":
        return False
    # getmntent(3) reads two backslashes as one; systemd takes a comma behind one into the option.
    text = re.sub(rb"\\(?:\\|134)", rb"\\", b"".join(fields[3:4]))
    options = re.findall(rb"(?:[^,\\]|\\.?)+", text, re.DOTALL)
    named = [
        name for option in options if (name := option.partition(b"=")[0]) in (b"auto", b"noauto")
    ]
    return named[-1:] != [b"noauto"]
