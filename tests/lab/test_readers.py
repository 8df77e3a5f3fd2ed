"""What formats/ reads is what the nodes' own programs read, each asked of the same text."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest

from formats import authorized_keys, fstab, hosts, resolv_conf
from tests import needs
from tests.lab.readers import Readers

MANY = 60
CHANCE = 20260101


@pytest.fixture(scope="module")
def ask() -> Iterator[Readers]:
    needs.here()
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
    *('from="127.0.0.1/ +8,*"', 'from="!10.0.0.1"', 'from=" 127.0.0.1"', 'from=" *,127.0.0.1"'),
    *('from="127.0.0.0/255.0.0.0"', 'from="[127.0.0.1]"', 'from="127.0.0.1/"', 'from="*/8"'),
    *('command="true"', 'command=""', 'command="a \\"b\\" c, d # e"', "command=true", "command"),
    *('command="a', 'command="a"b', 'command="a","b"', 'command="a",command="b"', 'command="a\\"'),
    *('command="a\\\\"', 'environment="A=1",environment="A=2"', 'environment="A"'),
    *('environment="=1"', 'environment="A-B=1"', 'environment="A_1="', 'environment="É=1"'),
    *('expiry-time="20010101"', 'expiry-time="20990101"', 'expiry-time="2099010112"'),
    *('expiry-time="209901011200Z"', 'expiry-time="20990101120059utc"', 'expiry-time="20991301"'),
    *('expiry-time="20990431"', 'expiry-time="20990101000061"', 'expiry-time="20990132"'),
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


# resolv.h: what each option sets.
FLAGS = {
    **{"rotate": 0x4000, "edns0": 0x100000, "single-request": 0x200000, "use-vc": 8},
    **{"single-request-reopen": 0x400000, "no-tld-query": 0x1000000, "no-reload": 0x2000000},
    **{"trust-ad": 0x4000000, "no-aaaa": 0x8000000, "strict-error": 0x10000000},
}
WORDS = {
    "nameserver": [
        *("1.1.1.1", "8.8.8.8", "10.1", "1", "0x7f.1", "010.0.0.1", "1.1.1.256", "1.1.1.1.1"),
        *("2001:DB8::1", "fe80::1%lo", "fe80::1%", "::ffff:1.2.3.4", "[::1]", "router.lan"),
        *("1.1.1.1#x", "1.1.1.1;x", "1.1.1.1,", "#", "1.1.1.1:53", "::1/128", "1e1", "1.\v"),
    ],
    "search": ["lan", "a.example.", "b", ".", "#x", "x;", "c,d"],
    "domain": ["home", "home.", "a"],
    "options": [
        *FLAGS,
        *("ndots:2", "ndots:99", "ndots:", "ndots:x", "ndots:3x", "ndots=4", "ndots", "Rotate"),
        *("timeout:9", "timeout:31", "timeout:+4", "attempts:3", "attempts:6", "rotate,edns0"),
        *("edns", "edns0:1", "single-requests", "no_tld_query", "debug", "rotate;", "#"),
    ],
    "nameservers": ["9.9.9.9"],
    "Nameserver": ["9.9.9.9"],
}


def odd_resolv_confs() -> Iterator[str]:
    for keyword, words in WORDS.items():
        for word in words:
            for end in ("", "\n", "\r\n", " \r\n", "\t x\n", " # x\n", " ; x\n", "\0\n"):
                yield f"{keyword} {word}{end}"
            yield from (f"{start}{keyword} {word}\n" for start in (" ", "#", ";", "\ufeff"))
            yield f"{keyword}\t \t{word}"
            yield f"{keyword}{word}"
            yield f"{keyword}\v{word}"
    chance = random.Random(CHANCE)
    for _ in range(20 * MANY):
        lines = []
        for keyword in chance.choices(list(WORDS), k=chance.randint(1, 6)):
            words = chance.choices([*WORDS[keyword], ""], k=chance.randint(0, 3))
            lines.append(" ".join([keyword, *words]))
        yield chance.choice(["\n", "\r\n", " \n"]).join(lines)


def understood(said: dict[str, Any]) -> resolv_conf.Meaning:
    """What res_ninit has understood, in the form of ``formats``."""
    options = [name for name, flag in FLAGS.items() if said["flags"] & flag]
    numbers = [f"{name}:{number}" for name, number in said["numbers"].items()]
    return resolv_conf._meaning(said["servers"], said["search"], [*options, *numbers])


def test_resolv_conf_is_read_as_the_c_library_reads_it(ask: Readers) -> None:
    texts = list(odd_resolv_confs())
    ours = [resolv_conf.meaning(text) for text in texts]
    for place, mine in enumerate(ours):
        # With none it asks this machine, and it says nothing of scopes.
        servers = [server.partition("%")[0] for server in mine.nameservers] or ["127.0.0.1"]
        ours[place] = resolv_conf._meaning(servers, mine.search, mine.options)
    theirs = [understood(said) for said in ask("resolv_conf", texts)]
    differ = [each for each in zip(texts, ours, theirs, strict=True) if each[1] != each[2]]
    assert differ == []
    assert len(set(theirs)) > len(texts) / 10


OPTIONS_OF_SWAP = [
    *("sw", "auto", "noauto", "sw,noauto", "auto,noauto", "noauto,auto", "noauto,sw,auto", ""),
    *("noauto=x", "xnoauto", "noautox", "NOAUTO", "noauto,", ",noauto", "a\\,noauto", "noauto\\,a"),
    *(
        "a\\\\,noauto",
        "nofail",
        "pri=5,noauto",
        "noauto;auto",
        '"noauto"',
        "noauto\\040",
        "\\054noauto",
    ),
    *("x-systemd.device-timeout=1,noauto", "noauto,x-systemd.makefs", "defaults"),
]


def odd_fstabs() -> Iterator[str]:
    for options, end in itertools.product(OPTIONS_OF_SWAP, ("\n", "\r\n", " 0 0\n", "\t0 0 # x")):
        yield f"/dev/sda2 none swap {options}{end}"
    for kind in (
        "swap",
        "SWAP",
        "swap\r",
        "swap\v",
        "swap,",
        "ext4",
        "swap#",
        "sw\\141p",
        '"swap"',
    ):
        yield f"/dev/sda2 none {kind}\n"
        yield f"/dev/sda2\tnone\t \t{kind}\tsw"
    for start in (" ", "\t", "#", " #", "\v", "\ufeff"):
        yield f"{start}/swapfile none swap sw\n"
    yield "/swap\\040file none swap sw\n"
    yield "UUID=12-34 none swap sw\n"
    yield "/swapfile swap\n"
    yield "/swapfile none\0 swap\n"
    yield f"/swapfile none swap sw,{'x' * 4200},noauto\n"
    yield f"/swapfile none{' ' * 4200}swap sw\n"


def test_fstab_turns_swap_on_where_systemds_generator_would(ask: Readers) -> None:
    texts = list(odd_fstabs())
    ours = [bool(fstab.swap_lines(text)) for text in texts]
    assert told_apart(ours, ask("fstab", texts), texts) == []


def odd_hosts() -> Iterator[str]:
    addresses = [
        *("10.0.0.1", "127.0.1.1", "::ffff:10.0.0.1", "2001:DB8::1", "10.1", "010.0.0.1"),
        *("10.0.0.256", "fe80::1%lo", "10.0.0.1,", "0x0a.0.0.1", "10.0.0.1/8", "", "node2"),
    ]
    ends = ["\n", "\r\n", " # node2\n", "#node2\n", " alias\t\r\n", "\valias\f\n", "\0 alias\n"]
    for address, end in itertools.product(addresses, ends):
        yield f"{address} node1{end}"
        yield f"{address}\tNODE1\x1cx{end}"
    for start in (" ", "\t", "\r", "\v", "#", " #", "\ufeff", "\xa0"):
        yield f"{start}10.0.0.1 node1\n"
    yield "10.0.0.1\n10.0.0.2 node1\n2001:db8::2 x node1\n10.0.0.3 node1 node2\n"
    yield "10.0.0.1 node1 node2.\n10.0.0.1 node2\n"


def test_hosts_names_what_the_c_library_finds_in_it(ask: Readers) -> None:
    texts = list(odd_hosts())
    ours = []
    for text in texts:
        known: dict[str, list[str]] = {"node1": [], "node2": [], "alias": []}
        for line in hosts.parse(text):
            for name in {name.lower() for name in line.names} & set(known):
                known[name].append(hosts._same(line.address))
        ours.append(known)
    # It gives an IPv4 address in IPv6's form as well.
    theirs = [
        {name: {hosts._same(each) for each in found} for name, found in said.items()}
        for said in ask("hosts", texts)
    ]
    sets = [{name: set(found) for name, found in known.items()} for known in ours]
    differ = [each for each in zip(texts, sets, theirs, strict=True) if each[1] != each[2]]
    assert differ == []
    assert any(said["alias"] for said in theirs)
