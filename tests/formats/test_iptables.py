"""Rules mean the same, or not, however they are written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.iptables import Rule
from formats.iptables_extensions import Extension, Option
from formats.iptables_values import rate
from formats.iptables_words import RuleError, quote, split

SAMPLES = Path(__file__).parent / "samples"
KUBERNETES = (SAMPLES / "kubernetes.iptables-save").read_text()


def typed_and_printed() -> list[tuple[str, list[str]]]:
    """What a person types, and the lines that iptables-save prints of it."""
    found: list[tuple[str, list[str]]] = []
    for line in (SAMPLES / "iptables-rules.txt").read_text().splitlines():
        if line.startswith("-"):
            found.append((line, []))
        elif line.startswith(" "):
            found[-1][1].append(line.strip())
    return found


DIFFERENT = [
    ("-A INPUT -p tcp --dport 22 -j DROP", "-A INPUT -p tcp ! --dport 22 -j DROP"),
    ("-A INPUT -s 10.0.0.0/8", "-A INPUT ! -s 10.0.0.0/8"),
    ("-A INPUT -s 10.0.0.0/8", "-A INPUT -d 10.0.0.0/8"),
    ("-A FORWARD -i eth0", "-A FORWARD -o eth0"),
    ("-A INPUT -i eth0", "-A INPUT -i eth+"),
    ("-A INPUT -j ACCEPT", "-A INPUT -j DROP"),
    ("-A INPUT -j ACCEPT", "-t mangle -A INPUT -j ACCEPT"),
    ("-A INPUT -j X", "-A INPUT -g X"),
    ("-A INPUT -f", "-A INPUT ! -f"),
    ("-A INPUT -p tcp --dport 22", "-A INPUT -p udp --dport 22"),
    ("-A INPUT -p tcp --dport 22", "-A INPUT -p tcp --sport 22"),
    ("-A INPUT -p tcp --syn", "-A INPUT -p tcp ! --syn"),
    ("-A INPUT -m limit --limit 1/sec", "-A INPUT -m limit --limit 1/min"),
    ("-A INPUT -m limit --limit 1/sec", "-A INPUT -m limit --limit 1/sec --limit-burst 6"),
    ("-A INPUT -m state --state NEW", "-A INPUT -m state --state NEW,INVALID"),
    ("-A INPUT -m comment --comment a", "-A INPUT -m comment --comment A"),
    ("-A INPUT -j REJECT", "-A INPUT -j REJECT --reject-with icmp-host-unreachable"),
    ("-A INPUT -m foo --bar 1", "-A INPUT -m foo --bar 2"),
    ("-A INPUT -m foo --bar 1", "-A INPUT -m foo ! --bar 1"),
    # the limit counts all packets, or only those to the port
    (
        "-A INPUT -p tcp -m limit --limit 1/s -m tcp --dport 22",
        "-A INPUT -p tcp -m tcp --dport 22 -m limit --limit 1/s",
    ),
]

WRONG = [
    ("-A INPUT -s router.lan -j DROP", "'router.lan' is not an IPv4 address or network"),
    ("-A INPUT -s 192.168.2.300", "'192.168.2.300' is not an IPv4 address or network"),
    ("-A INPUT -s 10.0.0.0/33", "33 is not between 0 and 32"),
    ("-A INPUT ! -s 10.0.0.1,10.0.0.2", "a list of addresses cannot be negated"),
    ("-A INPUT -s ! 10.0.0.1", "write '! --source …', with the '!' before the option"),
    ("-A INPUT -i averyverylongname", "'averyverylongname' is not an interface's name"),
    ("-A INPUT --dport 22", "--dport belongs to no -m, -j or -p before it"),
    ("-A INPUT -p tcp --dport 22 23", "'23' belongs to no option"),
    ("-A INPUT -p tcp --dport shh", "port 'shh': 'shh' is not a number: give the port's number"),
    ("-A INPUT -p tcp --dport 99999", "99999 is not between 0 and 65535"),
    ("-A INPUT -p tcp --dport 9:5", "'9:5' runs backwards"),
    ("-A INPUT -p tpc", "unknown protocol 'tpc'"),
    ("-A INPUT -m state --state RELATE,BOGUS", "unknown name 'BOGUS'"),
    ("-A INPUT -m limit --limit 5/fortnight", "a rate is a number per second, minute, hour or day"),
    ("-A INPUT -j DROP -j ACCEPT", "it has two targets"),
    ("-A INPUT -j", "--jump wants a value"),
    ("-A INPUT !", "nothing comes after its last '!'"),
    ("-A INPUT ! -j DROP", "--jump cannot be negated"),
    ("-I INPUT -j DROP", "-I is no part of a rule: write it as -A CHAIN …"),
    ("-s 10.0.0.1 -j DROP", "it has no -A CHAIN"),
    ('-A INPUT -m comment --comment "open', "it has an open quote"),
    ("-A INPUT -m comment --comment 'a\nb'", "it has control characters"),
    ("-A INPUT -j LOG --log-prefix " + 30 * "x", "is longer than 29 bytes"),
    ("-A INPUT -t gnat", "there is no table 'gnat'"),
    ("-A BRAMBLE -j DROP", "'BRAMBLE' is no built-in chain of table filter"),
    ("-A INPUT -o eth0", "-o matches nothing in INPUT"),
    ("-t nat -A POSTROUTING -i eth0", "-i matches nothing in POSTROUTING"),
    ("-A FORWARD -j MASQUERADE", "MASQUERADE works only in table nat, POSTROUTING"),
]


@pytest.mark.parametrize(("typed", "printed"), typed_and_printed())
def test_a_typed_rule_equals_what_iptables_prints_of_it(typed: str, printed: list[str]) -> None:
    rule = Rule.parse(typed)
    live = [found for line in printed for found in Rule.parse(line, rule.table).canonical()]
    assert list(rule.canonical()) == live


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_rules_that_do_not_mean_the_same_are_not_equal(one: str, other: str) -> None:
    assert Rule.parse(one).canonical() != Rule.parse(other).canonical()


@pytest.mark.parametrize(("words", "why"), WRONG)
def test_a_wrong_rule_is_refused_with_its_words_and_the_reason(words: str, why: str) -> None:
    with pytest.raises(RuleError) as error:
        Rule.parse(words).check()
    assert why in str(error.value)
    assert "rule '" in str(error.value) or 'rule "' in str(error.value)


def test_typed_data_equals_the_words() -> None:
    data = Rule(
        chain="INPUT",
        source="!10.0.0.0/8",
        protocol="tcp",
        matches=(Extension("tcp", (Option("--dport", ("22",), negated=True),)),),
        target=Extension("DROP"),
    )
    words = "-A INPUT ! -s 10.0.0.0/8 -p tcp ! --dport 22 -j DROP"
    assert Rule.parse(words) == data
    assert str(data) == "-A INPUT ! -s 10.0.0.0/8 -p tcp -m tcp ! --dport 22 -j DROP"


def test_an_option_of_typed_data_that_does_not_exist_is_refused() -> None:
    rule = Rule("INPUT", protocol="tcp", matches=(Extension("tcp", (Option("--port", ("22",)),)),))
    with pytest.raises(RuleError, match="--port is no option of tcp"):
        rule.canonical()


@pytest.mark.parametrize(
    "line", [line for line in KUBERNETES.splitlines() if line.startswith("-A")]
)
def test_every_rule_of_a_real_cluster_is_read_and_printed_the_same(line: str) -> None:
    printed = [word.text for word in split(str(Rule.parse(line)))]
    assert printed == [word.text for word in split(line)]


_network = st.builds("{}.{}.{}.{}/{}".format, *[st.integers(0, 255)] * 4, st.integers(1, 32))
_maybe_not = st.sampled_from(["", "!"])
_text = st.text(st.characters(min_codepoint=32, exclude_characters="\x7f"), max_size=20)
_port = st.integers(0, 65535).map(str)
_matches = st.one_of(
    st.builds(lambda p: Extension("tcp", (Option("--dport", (p,)),)), _port),
    st.builds(lambda p, n: Extension("udp", (Option("--sport", (p,), n),)), _port, st.booleans()),
    st.builds(lambda t: Extension("comment", (Option("--comment", (t,)),)), _text),
    st.builds(lambda t: Extension("foo", (Option("--bar", (t, "x")), Option("--baz"))), _text),
    st.sets(st.sampled_from(["NEW", "INVALID", "RELATED"]), min_size=1).map(
        lambda states: Extension("state", (Option("--state", (",".join(states),)),))
    ),
)
_rules = st.builds(
    Rule,
    chain=st.sampled_from(["INPUT", "BRAMBLE-FORWARD"]),
    source=st.none() | st.builds(str.__add__, _maybe_not, _network),
    destination=st.none() | _network,
    in_interface=st.none() | st.builds(str.__add__, _maybe_not, st.sampled_from(["eth0", "wl+"])),
    protocol=st.none() | st.sampled_from(["tcp", "17", "!icmp"]),
    fragment=st.none() | st.booleans(),
    matches=st.lists(_matches, max_size=4).map(tuple),
    target=st.none()
    | st.sampled_from(
        [Extension("DROP"), Extension("X"), Extension("LOG", (Option("--log-uid"),))]
    ),
)


@given(_rules)
def test_a_rule_survives_being_written_and_read(rule: Rule) -> None:
    assert Rule.parse(str(rule)) == rule


@given(_rules)
def test_a_canonical_rule_is_its_own_canonical_form(rule: Rule) -> None:
    (canonical,) = rule.canonical()
    assert canonical.canonical() == (canonical,)


@given(st.lists(_text, max_size=5))
def test_quoted_words_survive(words: list[str]) -> None:
    assert [word.text for word in split(" ".join(map(quote, words)))] == words


@given(st.integers(1, 10_000), st.sampled_from(["", "/s", "/min", "/hour", "/Day"]))
def test_a_canonical_rate_is_its_own_canonical_form(count: int, unit: str) -> None:
    assert rate(rate(f"{count}{unit}")) == rate(f"{count}{unit}")
