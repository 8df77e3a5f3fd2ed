"""Swap lines of /etc/fstab."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.fstab import MARK, swap_lines, without_swap

PI = """proc            /proc           proc    defaults          0       0
PARTUUID=1-01  /boot/firmware  vfat    defaults          0       2
PARTUUID=1-02  /               ext4    defaults,noatime  0       1
# a swapfile is not a swap partition, no line here
\tUUID=5e3c none swap sw,pri=5 0 0
/swapfile swap swap defaults 0 0
"""


def test_each_swap_line_goes_behind_the_mark_and_nothing_else_changes() -> None:
    before, after = PI.splitlines(), without_swap(PI).splitlines()
    assert after[:4] == before[:4]
    assert after[4:] == [
        MARK + "UUID=5e3c none swap sw,pri=5 0 0",
        MARK + "/swapfile swap swap defaults 0 0",
    ]


def test_a_second_time_changes_nothing() -> None:
    assert without_swap(without_swap(PI)) == without_swap(PI)


@pytest.mark.parametrize(
    "line",
    [
        "#/swapfile none swap sw 0 0",
        "/dev/sda2 none swap noauto 0 0",
        "/dev/sda2 none swap sw,noauto",
        "/dev/swap /swap ext4 defaults 0 0",
        "LABEL=swap /data ext4 swap 0 0",
        "none swap",
        "/dev/sda2 none swap auto,noauto",
        "/dev/sda2 none swap noauto=1 0 0",
        "/dev/sda2 none swap\r",
        "/dev/sda2 none\vswap sw",
        "/dev/sda2 none swap\u2028 sw",
        "",
    ],
)
def test_a_line_that_turns_no_swap_on_stays(line: str) -> None:
    assert swap_lines(line) == []
    assert without_swap(line) == line


@pytest.mark.parametrize(
    "line",
    [
        "/dev/sda2 none swap",
        "/dev/sda2 none swap noauto,auto",
        "/dev/sda2 none swap sw,noauto\r",
        "/dev/sda2 none swap a\\,noauto",
        "/dev/sda2\tnone \t swap\tnofail,x-systemd.device-timeout=1 0 0 # x",
        "/my\\040swap none swap sw",
    ],
)
def test_a_line_that_turns_swap_on_goes_behind_the_mark(line: str) -> None:
    assert swap_lines(f"{line}\n") == [line]
    assert swap_lines(without_swap(f"a\n{line}\n")) == []


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"))))
def test_no_line_is_lost(lines: list[str]) -> None:
    text = "\n".join(lines)
    after = without_swap(text)
    assert swap_lines(after) == []
    restored = [line.removeprefix(MARK).lstrip(" \t") for line in after.split("\n")]
    assert restored == [line.removeprefix(MARK).lstrip(" \t") for line in text.split("\n")]
