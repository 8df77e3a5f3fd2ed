"""authorized_keys is read as sshd reads it, and the lines of others are kept."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from formats.authorized_keys import Key, key, normal, parse, put, remove, render
from tests.said import saying


def blob(kind: str, *parts: bytes) -> str:
    strings = [kind.encode(), *parts]
    return b64encode(b"".join(len(s).to_bytes(4, "big") + s for s in strings)).decode()


ED = blob("ssh-ed25519", b"a" * 32)
ED2 = blob("ssh-ed25519", b"b" * 32)
RSA = blob("ssh-rsa", b"\1\0\1", b"c" * 256)
EC = (
    ec.derive_private_key(7, ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    .decode()
    .split()[1]
)
SK = blob("sk-ssh-ed25519@openssh.com", b"e" * 32, b"ssh:")

FILE = f"""# all operators

ssh-ed25519 {ED} operator@pc1
  ssh-rsa {RSA}
command="echo \\"hi, all\\" # no",no-pty,FROM="192.168.2.0/24,!192.168.2.9" ssh-ed25519 {ED2} a b
cert-authority,principals="pi" ecdsa-sha2-nistp256 {EC} the school's CA
# ssh-ed25519 {SK} not in use
sk-ssh-ed25519@openssh.com {SK}\tkey ring
ssh-ed25519 AAAAdamaged operator@pc1
restrict,pty
"""


def test_every_key_is_found_and_nothing_else() -> None:
    found = [line.key for line in parse(FILE)]
    assert found == [
        None,
        None,
        Key("ssh-ed25519", ED, (), "operator@pc1"),
        Key("ssh-rsa", RSA),
        Key(
            "ssh-ed25519",
            ED2,
            ('command="echo \\"hi, all\\" # no"', "no-pty", 'FROM="192.168.2.0/24,!192.168.2.9"'),
            "a b",
        ),
        Key("ecdsa-sha2-nistp256", EC, ("cert-authority", 'principals="pi"'), "the school's CA"),
        None,
        Key("sk-ssh-ed25519@openssh.com", SK, (), "key ring"),
        None,
        None,
    ]


def test_every_line_comes_back_as_it_was() -> None:
    assert render(parse(FILE)) == FILE


@given(st.text())
def test_every_text_comes_back_as_it_was(text: str) -> None:
    assert render(parse(text)) == text


options = st.lists(
    st.one_of(
        st.sampled_from(["no-pty", "restrict", "X11-forwarding"]),
        st.text(
            st.characters(codec="utf-8", exclude_characters="\\\n\r\0", exclude_categories=["C"])
        )
        .map(lambda text: text.replace('"', '\\"'))
        .map(lambda text: f'environment="A={text}"'),
    ),
    max_size=4,
).map(tuple)
keys = st.builds(
    Key,
    st.just("ssh-ed25519"),
    st.binary(min_size=32, max_size=32).map(lambda part: blob("ssh-ed25519", part)),
    options,
    st.from_regex(r"([a-z@#]+( [a-z@#\"]+){0,2})?", fullmatch=True),
)


@given(keys)
def test_a_written_key_is_read_as_the_same_key(one: Key) -> None:
    assert parse(f"{one}\n")[0].key == one


@given(keys)
def test_a_person_may_give_whatever_the_file_may_hold(one: Key) -> None:
    assert key(f" {one}\n") == one


@given(st.lists(keys, max_size=5), keys)
def test_a_key_that_was_put_in_and_taken_out_leaves_the_file_as_it_was(
    others: list[Key], one: Key
) -> None:
    text = "".join(f"{other}\n" for other in others if other.same != one.same)
    with_it = put(parse(text), one)
    assert [line.key for line in with_it][-1] == one
    assert render(put(with_it, one)) == render(with_it)
    assert render(remove(with_it, [one])) == text


def test_another_comment_does_not_make_another_key() -> None:
    lines = parse(f"ssh-ed25519 {ED} someone else's words\n")
    assert put(lines, key(f"ssh-ed25519 {ED} operator")) == lines


def test_a_commented_out_key_does_not_count() -> None:
    lines = parse(f"# ssh-ed25519 {ED} operator\n")
    assert render(put(lines, key(f"ssh-ed25519 {ED} operator"))) == (
        f"# ssh-ed25519 {ED} operator\nssh-ed25519 {ED} operator\n"
    )


def test_a_last_line_without_a_line_feed_is_not_run_into() -> None:
    lines = put(parse(f"ssh-rsa {RSA}"), key(f"ssh-ed25519 {ED}"))
    assert render(lines) == f"ssh-rsa {RSA}\nssh-ed25519 {ED}\n"


def test_new_options_are_set_in_place_and_doubles_go() -> None:
    text = f"ssh-ed25519 {ED} mine\nssh-rsa {RSA}\nno-pty ssh-ed25519 {ED} again\n"
    lines = put(parse(text), key(f'from="10.0.0.0/8" ssh-ed25519 {ED} x'))
    assert render(lines) == f'from="10.0.0.0/8" ssh-ed25519 {ED} mine\nssh-rsa {RSA}\n'


def test_options_of_the_same_meaning_are_left_as_they_are() -> None:
    text = f'NO-PTY,From="10.0.0.1" ssh-ed25519 {ED}\n'
    lines = put(parse(text), key(f'from="10.0.0.1",no-pty ssh-ed25519 {ED}'))
    assert render(lines) == text


def test_order_counts_where_an_option_takes_another_back() -> None:
    assert normal(["restrict", "pty"]) != normal(["pty", "restrict"])
    assert normal(["no-pty", 'from="A"']) == normal(['FROM="A"', "no-pty"])
    assert normal(['from="A"']) != normal(['from="a"'])


def test_the_first_variable_and_the_last_tunnel_count() -> None:
    one, two = 'environment="A=1"', 'environment="A=2"'
    assert normal([one, two]) == normal([one]) != normal([two, one])
    assert normal([one, 'environment="B=2"']) == normal(['environment="B=2"', one])
    one, two = 'tunnel="1"', 'tunnel="2"'
    assert normal([one, two]) == normal([two]) != normal([two, one])


@pytest.mark.parametrize(
    "line",
    [
        f"no-agent-forwading ssh-ed25519 {ED}",
        f'tunnel="blah" ssh-ed25519 {ED}',
        f'from="10.0.0.1",from="10.0.0.2" ssh-ed25519 {ED}',
        f'from="10.0.0.1/8" ssh-ed25519 {ED}',
        f'expiry-time="20010101" ssh-ed25519 {ED}',
        f"ssh-ed25519 {ED[:-1]}!",
        f"ssh-rsa {RSA.rstrip('=')}",
    ],
)
def test_a_line_that_sshd_passes_over_does_not_count_as_the_key(line: str) -> None:
    wanted = key(f"ssh-ed25519 {ED}" if ED[:9] in line else f"ssh-rsa {RSA}")
    lines = put(parse(f"{line}\n"), wanted)
    assert render(lines) == f"{line}\n{wanted}\n"


@pytest.mark.parametrize("name", ["rsa-sha2-256", "rsa-sha2-512"])
def test_an_rsa_key_under_the_name_of_its_signature_is_that_key(name: str) -> None:
    line = f"no-pty {name} {RSA} me\n"
    assert parse(line)[0].key == Key("ssh-rsa", RSA, ("no-pty",), "me")
    assert render(put(parse(line), key(f"ssh-rsa {RSA}"))) == line
    assert parse(f"{name} {ED}\n")[0].key is None


def test_a_line_that_lets_the_key_in_under_some_conditions_is_left_as_it_is() -> None:
    for options in ('from="10.0.0.1"', 'command="backup"', "restrict", 'expiry-time="20990101"'):
        lines = parse(f"{options} ssh-ed25519 {ED}\n")
        assert put(lines, key(f"ssh-ed25519 {ED}")) == lines


def test_the_key_of_a_certificate_authority_is_another_thing_than_a_key() -> None:
    lines = parse(f"cert-authority ssh-ed25519 {ED}\n")
    assert remove(lines, [key(f"ssh-ed25519 {ED}")]) == lines
    assert remove(lines, [key(f"cert-authority ssh-ed25519 {ED}")]) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ssh-ed25519 AAAA operator", "FMT030 its base64 is damaged"),
        (f"ssh-ed25519 {ED[:-8]} operator", "FMT030 its base64 is damaged"),
        (f"ssh-rsa {ED} operator", "FMT030 its base64 is damaged"),
        ("operator", "FMT030 it has no known type"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "FMT031"),
        (f"ssh-ed25519 {ED}\nssh-rsa {RSA}", "FMT030 it has several lines"),
        (f"ssh-dss {blob('ssh-dss', b'a')}", "FMT030 sshd no longer accepts ssh-dss"),
        (
            f"no-ptty ssh-ed25519 {ED}",
            "FMT032 not an option of sshd(8); the nearest is no-pty",
        ),
        (f"from ssh-ed25519 {ED}", 'FMT032 not an option of sshd(8); the nearest is from="…"'),
        (
            f"from=10.0.0.1 ssh-ed25519 {ED}",
            'FMT032 its value must be in double quotes, from="…"',
        ),
        (
            f'command="a" b" ssh-ed25519 {ED}',
            'FMT032 its value must be in double quotes, command="…"',
        ),
        (f'tunnel="blah" ssh-ed25519 {ED}', 'FMT032 neither a number nor "any"'),
        (f'from="a",FROM="b" ssh-ed25519 {ED}', "FMT032 given twice"),
        (f'from="10.0.0.1/8" ssh-ed25519 {ED}', "FMT032 10.0.0.1/8 has host bits set"),
        (f'principals="pi" ssh-ed25519 {ED}', "FMT032 it needs cert-authority"),
        (f'expiry-time="20010101" ssh-ed25519 {ED}', "FMT032 expired"),
        (f'expiry-time="soon" ssh-ed25519 {ED}', "FMT032 not YYYYMMDD[HHMM[SS]][Z]"),
        (f'environment="A" ssh-ed25519 {ED}', "FMT032 not NAME=value"),
        (f'permitopen="a" ssh-ed25519 {ED}', "FMT032 not host:port"),
        (f'command="{"x" * 8200}" ssh-ed25519 {ED}', "FMT030 sshd reads at most 8192 bytes"),
    ],
)
def test_a_mistake_is_named(line: str, message: str) -> None:
    with saying(message):
        key(line)
