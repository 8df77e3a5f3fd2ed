"""known_hosts: kept lines, pinned keys, united names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from formats.known_hosts import Entry, Line, Other, parse, pin, render, unite

SAMPLE = """\
# sshd(8)'s example, in part
cvs.example.net,192.0.2.10 ssh-rsa AAAA1234.....= a comment
|1|JfKTdBh7rNbXkVAQCRp4OQoPfmI=|USECr3SWf1JUPsms5AqfD5QfxkM= ssh-rsa AAAA1234.....=

@revoked * ssh-rsa AAAAB5W
@cert-authority *.mydomain.org,*.mydomain.com ssh-rsa AAAAB5W
[node.example]:2222 ssh-ed25519 AAAAC3
garbage
"""

hosts = st.from_regex(r"[a-z0-9.]{1,8}|\[[a-z]{1,5}\]:2222", fullmatch=True)
name_lists = st.lists(hosts, min_size=1, max_size=4, unique=True).map(tuple)
key_texts = st.sampled_from(["ssh-ed25519 AAAA1", "ssh-ed25519 AAAA2", "ssh-rsa AAAA3"])
entries = st.builds(Entry, name_lists, key_texts)
others = st.sampled_from(["", "# note", "@revoked * ssh-rsa A", "|1|a=|b= ssh-rsa A"]).map(Other)
files: st.SearchStrategy[list[Line]] = st.lists(entries | others, max_size=8)


def known(lines: list[Line], name: str) -> set[str]:
    return {line.key for line in lines if isinstance(line, Entry) and name in line.names}


def test_lines_are_told_apart() -> None:
    assert [line for line in parse(SAMPLE) if isinstance(line, Entry)] == [
        Entry(("cvs.example.net", "192.0.2.10"), "ssh-rsa AAAA1234.....="),
        Entry(("[node.example]:2222",), "ssh-ed25519 AAAAC3"),
    ]


def test_lines_not_understood_are_kept_as_they_are() -> None:
    kept = [line.text for line in parse(SAMPLE) if isinstance(line, Other)]
    written = render(parse(SAMPLE)).splitlines()
    assert kept == [line for line in SAMPLE.splitlines() if line in kept]
    assert all(line in written for line in kept)


@given(files)
def test_what_is_written_is_read_back(lines: list[Line]) -> None:
    assert parse(render(lines)) == lines


@given(files, name_lists, key_texts)
def test_a_pinned_key_is_the_only_one(lines: list[Line], names: tuple[str, ...], key: str) -> None:
    after = pin(lines, names, key)
    for name in names:
        assert known(after, name) == {key}
    elsewhere = {name for line in lines if isinstance(line, Entry) for name in line.names}
    for name in elsewhere - set(names):
        assert known(after, name) == known(lines, name)
    assert [line for line in after if isinstance(line, Other)] == [
        line for line in lines if isinstance(line, Other)
    ]


@given(files, name_lists)
def test_uniting_never_trusts_a_second_key(lines: list[Line], names: tuple[str, ...]) -> None:
    before = set().union(*(known(lines, name) for name in names))
    after = unite(lines, names)
    if len(before) == 1:
        for name in names:
            assert known(after, name) == before
    else:
        assert after == lines
    assert unite(after, names) == after
