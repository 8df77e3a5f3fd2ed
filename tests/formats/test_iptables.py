"""What iptables-save prints is read; a rule that is typed stays one line of one chain."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.iptables import (
    OwnChains,
    Rule,
    RuleError,
    Table,
    holds_rules,
    incompatible,
    parse_save,
    quote,
    words,
)
from tests.said import says

SAMPLES = Path(__file__).parent / "samples"
KUBERNETES = (SAMPLES / "kubernetes.iptables-save").read_text()

# table, chain and what is left for iptables
TAKEN = [
    ("-A INPUT -j DROP", ("filter", "INPUT", "-j DROP")),
    ("-j DROP -t nat -A OUTPUT", ("nat", "OUTPUT", "-j DROP")),
    ("--table=nat --append OUTPUT -j DROP", ("nat", "OUTPUT", "-j DROP")),
    ("--app INPUT --ta mangle", ("mangle", "INPUT", "")),
    ("-ptcp -jACCEPT -tnat -AOUTPUT", ("nat", "OUTPUT", "-p tcp -j ACCEPT")),
    ("-A INPUT -p tcp -j DROP\t! -s 1.2.3.4", ("filter", "INPUT", "-p tcp -j DROP ! -s 1.2.3.4")),
    ("-A INPUT -m comment --comment 'a b'", ("filter", "INPUT", '-m comment --comment "a b"')),
    ("-A INPUT --comment='a \"b\"'", ("filter", "INPUT", r'"--comment=a \"b\""')),
    ("-A INPUT -A OUTPUT -t nat -t raw", ("nat", "INPUT", "-A OUTPUT -t raw")),
    ("-A INPUT --comment ''", ("filter", "INPUT", '--comment ""')),
    ("-A INPUT --comment '-t' ", ("filter", "INPUT", "--comment -t")),
    ("--comment '-A' -A INPUT", ("filter", "INPUT", "--comment -A")),
    (r"-A INPUT --comment it\'s", ("filter", "INPUT", '''--comment "it's"''')),
    (r'-A INPUT --comment "\$5 \"x\" \\ \a"', ("filter", "INPUT", r'--comment "$5 \"x\" \\ \\a"')),
    ("-A INPUT --comment \u2028grün\x85", ("filter", "INPUT", '--comment "\u2028grün\x85"')),
]  # fmt: skip

WRONG = [
    ("", "FMT016 no -A CHAIN; the first rule of the list comes first"),
    ("-I INPUT -j DROP", "FMT016 no -A CHAIN; the first rule of the list comes first"),
    ("-s 10.0.0.1 -j DROP", "FMT016 no -A CHAIN; the first rule of the list comes first"),
    ("-A", "FMT016 -A has no value"),
    ("-A INPUT -t", "FMT016 -t has no value"),
    ("-A INPUT -t gnat", "FMT016 no table 'gnat', only filter, nat, mangle, raw, security"),
    ("-A INPUT -t 'nat\n*filter'", "FMT016 it has control characters, or is not UTF-8"),
    (
        "-A BRAMBLE -j DROP",
        "FMT016 'BRAMBLE' is not a built-in chain of table filter: INPUT, FORWARD, OUTPUT",
    ),
    (
        "-A 'INPUT -j ACCEPT'",
        "FMT016 'INPUT -j ACCEPT' is not a built-in chain of table filter: INPUT, FORWARD, OUTPUT",
    ),
    (
        "-t nat -A FORWARD",
        "FMT016 'FORWARD' is not a built-in chain of table nat",
    ),
    ('-A INPUT -m comment --comment "open', "FMT016 a quote is not closed"),
    ("-A INPUT -m comment --comment 'open", "FMT016 a quote is not closed"),
    ("-A INPUT -j ACCEPT\\", "FMT016 a quote is not closed"),
    (
        "-A INPUT -m comment --comment 'a\nCOMMIT\n*nat\n:INPUT DROP'",
        "FMT016 it has control characters, or is not UTF-8",
    ),
    ("-A INPUT -j ACCEPT\n-A INPUT -j DROP", "FMT016 it has control characters, or is not UTF-8"),
    ("-A INPUT -j ACCEPT\r", "FMT016 it has control characters, or is not UTF-8"),
    ("-A INPUT -m comment --comment 'a\0b'", "FMT016 it has control characters, or is not UTF-8"),
    ("-A INPUT -m comment --comment \udcff", "FMT016 it has control characters, or is not UTF-8"),
]


@pytest.mark.parametrize(("typed", "found"), TAKEN)
def test_table_and_chain_are_taken_and_the_rest_stays_for_iptables(
    typed: str, found: tuple[str, str, str]
) -> None:
    rule = Rule.parse(typed)
    assert (rule.table, rule.chain, rule.body) == found


@pytest.mark.parametrize(("typed", "why"), WRONG)
def test_what_is_not_one_rule_of_one_chain_is_refused_with_its_words(typed: str, why: str) -> None:
    with pytest.raises(RuleError) as error:
        Rule.parse(typed)
    assert says(error.value, why)
    assert says(error.value, f"FMT016 {typed!r}")


@given(st.text(max_size=60))
def test_no_text_of_a_rule_breaks_out_of_its_line(text: str) -> None:
    for typed in (text, f"-A INPUT {text}", f"-A INPUT --comment '{text}'"):
        try:
            chains = OwnChains("BRAMBLE", [typed])
        except RuleError:
            continue
        table, own, rule, jump, commit, end = chains.trial().split("\n")
        built_in = rule.split(" ")[1]
        assert table.startswith("*")
        assert own == f":BRAMBLE-{built_in} - [0:0]"
        assert jump == f"-A {built_in} -g BRAMBLE-{built_in}"
        assert (commit, end) == ("COMMIT", "")
        assert chains.restore_file().count("\n") == 4


@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20), max_size=5))
def test_quoted_words_survive_being_typed_and_printed(some: list[str]) -> None:
    assert words(" ".join(map(quote, some))) == some
    typed = Rule.parse(" ".join(["-A INPUT", *(quote(f"={word}") for word in some)]))
    assert words(typed.body) == [f"={word}" for word in some]


def test_what_iptables_save_prints_is_read() -> None:
    text = (
        "# Generated by iptables-save v1.8.11\n*filter\n:INPUT DROP [3:180]\n:MINE - [0:0]\n"
        '[5:300] -A INPUT -m comment --comment "a\u2028b\\"\\\\" -j MINE\n'
        "-A MINE ! -s 10.0.0.0/8 -j DROP\nCOMMIT\n*nat\nCOMMIT\n"
    )
    tables = parse_save(text)
    first = '-A INPUT -m comment --comment "a\u2028b\\"\\\\" -j MINE'
    assert tables == {
        "filter": Table(
            {"INPUT": "DROP", "MINE": "-"},
            {"INPUT": [first], "MINE": ["-A MINE ! -s 10.0.0.0/8 -j DROP"]},
        ),
        "nat": Table(),
    }
    assert words(first)[-3:] == ['a\u2028b"\\', "-j", "MINE"]


@given(st.text(st.sampled_from('*:-A [0]"\\\n#x'), max_size=40))
def test_whatever_is_printed_is_read(text: str) -> None:
    for table in parse_save(text).values():
        for line in (line for rules in table.rules.values() for line in rules):
            assert words(line)[0] == "-A"


def test_every_rule_of_a_real_cluster_is_read() -> None:
    lines = [line for line in KUBERNETES.splitlines() if line.startswith("-A")]
    tables = parse_save(KUBERNETES).values()
    assert sorted(r for t in tables for rules in t.rules.values() for r in rules) == sorted(lines)
    for line in lines:
        assert words(line)[:2] == line.split()[:2]
        assert "".join(words(line)).replace(" ", "") == line.replace('"', "").replace(" ", "")


def test_whether_anybody_has_rules() -> None:
    empty = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [9:540]\nCOMMIT\n"
    assert holds_rules(parse_save(empty)) == []
    assert holds_rules(parse_save(empty.replace("FORWARD ACCEPT", "FORWARD DROP"))) == ["filter"]
    assert holds_rules(parse_save(KUBERNETES)) == ["nat", "filter"]


def test_a_table_that_only_nft_can_show_is_named() -> None:
    text = "# Table `nat' is incompatible, use 'nft' tool.\n*filter\nCOMMIT\n"
    assert incompatible(text) == ["nat"]
    assert incompatible(KUBERNETES) == []
