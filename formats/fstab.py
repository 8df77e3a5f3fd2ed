"""
/etc/fstab, as far as swap goes (fstab(5); which lines systemd starts: systemd-fstab-generator(8)).
"""

from __future__ import annotations

MARK = "# bramble: no swap on a Kubernetes node: "


def swap_lines(text: str) -> list[str]:
    """
    The lines that turn swap on at boot.

    + text: the content of /etc/fstab

    A line with the option ``noauto`` turns nothing on.
    """
    return [line for line in text.splitlines() if _is_swap(line)]


def without_swap(text: str) -> str:
    """
    The same file with each of those lines behind a mark, so that a person can put it back.

    + text: the content of /etc/fstab
    """
    return "".join(
        MARK + line.lstrip() if _is_swap(line) else line for line in text.splitlines(keepends=True)
    )


def _is_swap(line: str) -> bool:
    if line.lstrip().startswith("#"):
        return False
    fields = line.split()
    return (
        len(fields) > 2 and fields[2] == "swap" and "noauto" not in "".join(fields[3:4]).split(",")
    )
