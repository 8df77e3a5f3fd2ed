"""Own chains beside everybody else's, decided from text alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from formats.iptables import Rule, parse_save
from formats.iptables_chains import OwnChains, holds_rules, incompatible
from formats.iptables_words import RuleError

KUBERNETES = (Path(__file__).parent / "samples" / "kubernetes.iptables-save").read_text()
NAT = "-t nat -A POSTROUTING -s 192.168.2.0/24 -o wlan0 -j MASQUERADE"
OUT = "-A FORWARD -i eth0 -o wlan0 -j ACCEPT"
BACK = "-A FORWARD -i wlan0 -o eth0 -m state --state RELATED,ESTABLISHED -j ACCEPT"
HEAD = OwnChains("BRAMBLE", [Rule.parse(words) for words in (NAT, OUT, BACK)])
NOTHING = OwnChains("BRAMBLE", [])

LIVE = """# Warning: iptables-legacy tables present, use iptables-legacy-save to see them
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [3:180]
:OUTPUT ACCEPT [0:0]
:BRAMBLE-FORWARD - [0:0]
:DOCKER-USER - [0:0]
[5:300] -A FORWARD -j BRAMBLE-FORWARD
-A FORWARD -j DOCKER-USER
[7:420] -A BRAMBLE-FORWARD -i eth0 -o wlan0 -j ACCEPT
-A BRAMBLE-FORWARD -i wlan0 -o eth0 -m state --state RELATED,ESTABLISHED -j ACCEPT
COMMIT
*nat
:POSTROUTING ACCEPT [0:0]
:BRAMBLE-POSTROUTING - [0:0]
-A POSTROUTING -j BRAMBLE-POSTROUTING
-A BRAMBLE-POSTROUTING -s 192.168.2.0/24 -o wlan0 -j MASQUERADE
COMMIT
"""


def test_on_a_blank_node_everything_is_made() -> None:
    assert HEAD.repair({}) == (
        "*filter\n"
        ":BRAMBLE-FORWARD - [0:0]\n"
        "-A BRAMBLE-FORWARD -i eth0 -o wlan0 -j ACCEPT\n"
        "-A BRAMBLE-FORWARD -i wlan0 -o eth0 -m state --state RELATED,ESTABLISHED -j ACCEPT\n"
        "-I FORWARD 1 -j BRAMBLE-FORWARD\n"
        "COMMIT\n"
        "*nat\n"
        ":BRAMBLE-POSTROUTING - [0:0]\n"
        "-A BRAMBLE-POSTROUTING -s 192.168.2.0/24 -o wlan0 -j MASQUERADE\n"
        "-I POSTROUTING 1 -j BRAMBLE-POSTROUTING\n"
        "COMMIT\n"
    )


def test_nothing_is_done_when_the_rules_are_there() -> None:
    assert HEAD.repair(parse_save(LIVE)) == ""


def test_what_is_shown_of_the_live_rules_is_what_is_wanted_once_they_are_there() -> None:
    assert HEAD.show_live(parse_save(LIVE)) == HEAD.show_wanted()
    assert HEAD.show_live(parse_save(KUBERNETES)) == ""


def test_the_file_has_own_chains_only() -> None:
    text = HEAD.restore_file()
    assert "-A POSTROUTING" not in text
    assert "-A FORWARD" not in text
    assert [line for line in text.splitlines() if line.startswith(":")] == [
        ":BRAMBLE-FORWARD - [0:0]",
        ":BRAMBLE-POSTROUTING - [0:0]",
    ]


@pytest.mark.parametrize(
    ("was", "became", "mended"),
    [
        pytest.param(
            "-A POSTROUTING -j BRAMBLE-POSTROUTING\n",
            "",
            "*nat\n-I POSTROUTING 1 -j BRAMBLE-POSTROUTING\nCOMMIT\n",
            id="jump missing",
        ),
        pytest.param(
            "-A POSTROUTING -j BRAMBLE-POSTROUTING\n",
            2 * "-A POSTROUTING -j BRAMBLE-POSTROUTING\n",
            "*nat\n"
            "-D POSTROUTING -j BRAMBLE-POSTROUTING\n"
            "-D POSTROUTING -j BRAMBLE-POSTROUTING\n"
            "-I POSTROUTING 1 -j BRAMBLE-POSTROUTING\nCOMMIT\n",
            id="jump doubled",
        ),
        pytest.param(
            "-A POSTROUTING -j BRAMBLE-POSTROUTING\n",
            '-A POSTROUTING -m comment --comment "off" -j ACCEPT\n'
            "-A POSTROUTING -j BRAMBLE-POSTROUTING\n",
            "*nat\n-D POSTROUTING -j BRAMBLE-POSTROUTING\n"
            "-I POSTROUTING 1 -j BRAMBLE-POSTROUTING\nCOMMIT\n",
            id="jump out of reach",
        ),
        pytest.param(
            "-A POSTROUTING -j BRAMBLE-POSTROUTING\n",
            "-A POSTROUTING -o eth9 -j ACCEPT\n-A POSTROUTING -j KUBE-POSTROUTING\n"
            "-A POSTROUTING -j BRAMBLE-POSTROUTING\n",
            "",
            id="jump in reach further down is left there",
        ),
        pytest.param(
            "-A BRAMBLE-POSTROUTING -s 192.168.2.0/24 -o wlan0 -j MASQUERADE\n",
            "",
            "*nat\n:BRAMBLE-POSTROUTING - [0:0]\n"
            "-A BRAMBLE-POSTROUTING -s 192.168.2.0/24 -o wlan0 -j MASQUERADE\nCOMMIT\n",
            id="rule missing",
        ),
        pytest.param(
            "-A BRAMBLE-POSTROUTING -s 192.168.2.0/24 -o wlan0 -j MASQUERADE\n",
            "-A BRAMBLE-POSTROUTING -m hand --made\n"
            "-A BRAMBLE-POSTROUTING -s 192.168.2.0/24 -o wlan0 -j MASQUERADE\n",
            "*nat\n:BRAMBLE-POSTROUTING - [0:0]\n"
            "-A BRAMBLE-POSTROUTING -s 192.168.2.0/24 -o wlan0 -j MASQUERADE\nCOMMIT\n",
            id="rule added in our chain",
        ),
    ],
)
def test_only_the_drift_is_mended(was: str, became: str, mended: str) -> None:
    assert was in LIVE
    assert HEAD.repair(parse_save(LIVE.replace(was, became))) == mended


def test_another_order_in_our_chain_is_drift() -> None:
    other = OwnChains("BRAMBLE", [Rule.parse(words) for words in (NAT, BACK, OUT)])
    assert other.repair(parse_save(LIVE)).startswith("*filter\n:BRAMBLE-FORWARD - [0:0]\n")
    assert "*nat" not in other.repair(parse_save(LIVE))


def test_a_chain_that_is_not_wanted_any_more_goes_with_all_that_jumps_to_it() -> None:
    live = LIVE.replace("-A FORWARD -j DOCKER-USER", "-A FORWARD -i eth7 -j BRAMBLE-FORWARD")
    assert NOTHING.repair(parse_save(live)) == (
        "*filter\n"
        "-D FORWARD -j BRAMBLE-FORWARD\n"
        "-D FORWARD -i eth7 -j BRAMBLE-FORWARD\n"
        "-F BRAMBLE-FORWARD\n"
        "-X BRAMBLE-FORWARD\n"
        "COMMIT\n"
        "*nat\n"
        "-D POSTROUTING -j BRAMBLE-POSTROUTING\n"
        "-F BRAMBLE-POSTROUTING\n"
        "-X BRAMBLE-POSTROUTING\n"
        "COMMIT\n"
    )
    assert NOTHING.repair(parse_save(KUBERNETES)) == ""


def test_a_chain_of_another_with_our_prefix_is_not_ours() -> None:
    live = LIVE.replace("DOCKER-USER", "BRAMBLE-MINE")
    assert "BRAMBLE-MINE" not in NOTHING.repair(parse_save(live))


def test_a_rule_that_iptables_prints_otherwise_is_no_drift() -> None:
    rules = [NAT.replace("2.0/24", "2.7/255.255.255.0"), OUT, BACK.replace("D,E", "D,e")]
    rules[2] = "-A FORWARD -o eth0 -i wlan0 -m state --state established,related -j ACCEPT"
    chains = OwnChains("BRAMBLE", [Rule.parse(words) for words in rules])
    assert chains.repair(parse_save(LIVE)) == ""


@pytest.mark.parametrize("prefix", ["", "bramble", "A B", "X" * 17])
def test_a_prefix_that_makes_no_chain_names_is_refused(prefix: str) -> None:
    with pytest.raises(RuleError, match="is no prefix"):
        OwnChains(prefix, [])


def test_whether_anybody_has_rules() -> None:
    empty = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [9:540]\nCOMMIT\n"
    assert holds_rules(parse_save(empty)) == []
    assert holds_rules(parse_save(empty.replace("FORWARD ACCEPT", "FORWARD DROP"))) == ["filter"]
    assert holds_rules(parse_save(KUBERNETES)) == ["nat", "filter"]


def test_a_table_that_only_nft_can_show_is_named() -> None:
    assert incompatible("# Table `nat' is incompatible, use 'nft' tool.\n*filter\nCOMMIT\n") == [
        "nat"
    ]
    assert incompatible(LIVE) == []
