"""Which file of sysctl.d has the last word; each case was tried against systemd-sysctl 257."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.sysctl import Assignment, at_boot, path_of, plain

KEY = "net.ipv4.ip_forward"
OURS = {"/etc/sysctl.d/60-bramble.conf": f"{KEY} = 1\n"}


@pytest.mark.parametrize(
    ("others", "value", "path"),
    [
        ({}, "1", "/etc/sysctl.d/60-bramble.conf"),
        ({"/etc/sysctl.d/99-x.conf": f"{KEY}=0"}, "0", "/etc/sysctl.d/99-x.conf"),
        ({"/usr/lib/sysctl.d/99-x.conf": f"-{KEY}=0"}, "0", "/usr/lib/sysctl.d/99-x.conf"),
        ({"/etc/sysctl.d/99-x.conf": "net/ipv4/ip_forward=0"}, "0", "/etc/sysctl.d/99-x.conf"),
        ({"/etc/sysctl.d/50-x.conf": f"{KEY}=0"}, "1", "/etc/sysctl.d/60-bramble.conf"),
        ({"/usr/lib/sysctl.d/60-bramble.conf": f"{KEY}=0"}, "1", "/etc/sysctl.d/60-bramble.conf"),
        (
            {"/etc/sysctl.d/99-x.conf": f"# {KEY}=0\n; {KEY}=0"},
            "1",
            "/etc/sysctl.d/60-bramble.conf",
        ),
        # another name of the same variable
        (
            {"/etc/sysctl.d/99-x.conf": "net.ipv4.conf.all.forwarding=0"},
            "0",
            "/etc/sysctl.d/99-x.conf",
        ),
        (
            {"/etc/sysctl.d/99-x.conf": "net.ipv4.conf.*.forwarding=0"},
            "0",
            "/etc/sysctl.d/99-x.conf",
        ),
        # a pattern does not override what is named in full
        ({"/etc/sysctl.d/99-x.conf": "net.ipv4.ip_f*=0"}, "1", "/etc/sysctl.d/60-bramble.conf"),
        # a value that is said again stays in its first place, before the other name's
        (
            {
                "/etc/sysctl.d/70-x.conf": "net.ipv4.conf.all.forwarding=0",
                "/etc/sysctl.d/80-x.conf": f"{KEY}=1",
            },
            "0",
            "/etc/sysctl.d/70-x.conf",
        ),
    ],
)
def test_the_last_word_at_boot(others: dict[str, str], value: str, path: str) -> None:
    assert at_boot({**others, **OURS}, KEY) == Assignment(value, path)


def test_what_no_file_says_is_left_to_the_kernel() -> None:
    assert at_boot({"/etc/sysctl.d/99-x.conf": "net.ipv4.ip_default_ttl = 64"}, KEY) is None
    assert at_boot({}, KEY) is None


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/conf/eth0.5/forwarding", "net/ipv4/conf/eth0.5/forwarding"),
        ("net.ipv4.conf.eth0/5.forwarding", "net/ipv4/conf/eth0.5/forwarding"),
    ],
)
def test_the_first_separator_says_which_it_is(key: str, path: str) -> None:
    assert path_of(key) == path


@given(st.lists(st.integers(0, 10**6), min_size=1), st.sampled_from([" ", "\t", "  "]))
def test_white_space_makes_no_difference(numbers: list[int], space: str) -> None:
    assert plain(space.join(map(str, numbers)) + "\n") == " ".join(map(str, numbers))
