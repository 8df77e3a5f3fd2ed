"""What formats/ reads is what the nodes' own programs read, each asked of the same text."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest

from formats import authorized_keys
from tests.lab.readers import Readers

MANY = 60
CHANCE = 20260101


@pytest.fixture(scope="module")
def ask() -> Iterator[Readers]:
    if os.geteuid() != 0:
        pytest.skip("another root file system needs root")
    with Readers() as readers:
        yield readers


def told_apart(ours: list[Any], theirs: list[Any], texts: list[str]) -> list[tuple[Any, ...]]:
    """Where they differ; both kinds of answers have to occur, or nothing was compared."""
    assert any(theirs)
    assert not all(theirs)
    triples = zip(texts, ours, theirs, strict=True)
    return [(text, mine, true) for text, mine, true in triples if mine != true]


# Before a key; sshd passes over a line for any one that is wrong.
OPTIONS = [
    *("no-pty", "NO-pty", "restrict", "restrict,pty", "pty,restrict", "no-agent-forwarding"),
    *("user-rc", "no-touch-required", "verify-required", "no-verify-required"),
    *("no-agent-forwading", "no-restrict", "no-cert-authority", "no", "no-", "pty=", 'pty="a"'),
    *("cert-authority", 'cert-authority,principals="pi"', 'principals="pi"', "principals"),
    *('tunnel="0"', 'tunnel="any"', 'tunnel="ANY"', 'tunnel="blah"', 'tunnel="1:2"', "tunnel=1"),
    *('tunnel="-1"', 'tunnel=""', 'tunnel="99999999999"', 'tunnel="1",tunnel="2"', 'tunnel=" 3"'),
    *('from="127.0.0.1"', 'from="127.0.0.0/8"', 'from="127.0.0.1",from="127.0.0.1"'),
    *('from="127.0.0.1/8"', 'from="127.0.0.1,"', 'from="127.0.0.0/x,127.*"', "from=127.0.0.1"),
    *('from="127.0.0.0/33"', 'from="127.0.0.0/129,127.*"', 'from="!10.0.0.1,*"', 'from="::/0,*"'),
    *('command="true"', 'command=""', 'command="a \\"b\\" c, d # e"', "command=true", "command"),
    *('command="a', 'command="a"b', 'command="a","b"', 'command="a",command="b"', 'command="a\\"'),
    *('command="a\\\\"', 'environment="A=1",environment="A=2"', 'environment="A"'),
    *('environment="=1"', 'environment="A-B=1"', 'environment="A_1="', 'environment="É=1"'),
    *('expiry-time="20010101"', 'expiry-time="20990101"', 'expiry-time="2099010112"'),
    *('expiry-time="209901011200Z"', 'expiry-time="20990101120059utc"', 'expiry-time="20991301"'),
    *('expiry-time="20990101",expiry-time="20010101"', 'expiry-time="soon"', 'expiry-time="Z"'),
    *('permitopen="a:80"', 'permitopen="a"', 'permitopen="a:http"', 'permitopen="[::1]:80"'),
    *('permitopen="::1:80"', 'permitopen="a:0"', 'permitopen="a:*"', 'permitopen=":80"'),
    *('permitopen="a/80"', 'permitopen="[::1]80"', 'permitopen="[::1"', 'permitopen="a:65536"'),
    *('permitlisten="80"', 'permitlisten="a:80"', 'permitlisten="*"', 'permitlisten="a"'),
    *('permitlisten="a/80"', 'permitlisten="[a]:80"', 'permitlisten=""', 'permitopen=""'),
    *(",no-pty", "no-pty,", "no-pty,,pty", ",", "no-pty ,pty", "no-pty, pty", "ssh-ed25519"),
    *("ptyno-pty", "no-ptypty", '"no-pty"', "#", "a#b", "\\", '\\"', '"', '""'),
    f'command="{"x" * 9000}"',
]


def odd_lines(keys: list[str]) -> Iterator[str]:
    """Of authorized_keys, one kind of damage each."""
    yield from keys
    ed, *_ = keys
    kind, blob = ed.split()
    yield from (f"{option} {ed}" for option in OPTIONS)
    yield from (f"{ed}{end}" for end in ("\r", " ", "\t comment", "\0x", " # x", " \r", "\v", "="))
    yield from (f"{start}{ed}" for start in (" ", "\t", "\r", "#", "# ", "\v", "\ufeff", "- "))
    yield f"{kind} \t {blob}"
    yield f"{kind}\v{blob}"
    yield f"{kind} {blob[:20]}\r{blob[20:]}"
    yield f"{kind} {blob[:-4]}"
    yield f"{kind} {blob[:-1]}!"
    yield f"{kind} {blob}AAAA"
    yield f"{kind.upper()} {blob}"
    yield f"ed25519 {blob}"
    yield f"ssh-rsa {blob}"
    yield f"{kind}-cert-v01@openssh.com {blob}"
    yield kind
    yield blob
    for whole in keys[1:]:
        name, text = whole.split()
        yield f"{name} {text.rstrip('=')}"
        yield f"{name} {text}="
        yield f"{name} {text[:-8]}"
        yield f"ecdsa-sha2-nistp384 {text}"
        if text.endswith("="):  # other bits where none count
            last = text.rstrip("=")
            yield f"{name} {last[:-1]}{chr(ord(last[-1]) + 1)}{text[len(last) :]}"
    chance = random.Random(CHANCE)
    for _ in range(MANY):
        options = ",".join(chance.choices(OPTIONS, k=chance.randint(2, 3)))
        yield f"{options} {ed}"


def test_sshd_lets_a_key_in_where_a_line_is_said_to_hold_it(ask: Readers) -> None:
    keys = ask("ssh_keygen", ["ed25519", "rsa", "ecdsa"])
    lines = list(odd_lines(keys))
    ours = []
    for line in lines:
        key = authorized_keys.parse(line)[0].key
        ours.append(key is not None and "cert-authority" not in authorized_keys.normal(key.options))
    assert told_apart(ours, ask("authorized_keys", lines), lines) == []
