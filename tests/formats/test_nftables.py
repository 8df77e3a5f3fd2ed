"""nft's lists: JSON for what a rule means, the listing for its words."""

from __future__ import annotations

import json
import subprocess

import pytest

from formats.nftables import parse_ruleset
from tests import needs

RULES = """table inet own {
  set known { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.168.2.1 } }
  map ways { type ifname : verdict; elements = { "lo" : accept } }
  chain input {
    type filter hook input priority filter - 5; policy drop;
    tcp dport { 1001, 1003, 1005, 1007, 1009, 1011, 1013, 1015, 1017, 1019, 1021, 1023 } accept
    ip saddr @known counter drop comment "not # handle 7"
    jump other
  }
  chain other { iifname "lo" accept; }
}
table ip asleep {
  comment "not flags dormant"
  flags dormant
  chain input { type filter hook input priority 0; policy drop; }
}
table netdev early {
  chain lo { type filter hook ingress device "lo" priority 0; policy drop; }
}
"""
LOAD = "nft -f -; nft -j list ruleset; echo; echo ----; nft -a list ruleset"


@pytest.fixture(scope="module")
def printed() -> tuple[str, str]:
    """Both lists, as this machine's nft prints them where there are no other rules."""
    needs.here("nft", "unshare")
    done = subprocess.run(
        ["unshare", "--net", "sh", "-ec", LOAD],
        input=RULES,
        capture_output=True,
        text=True,
        check=True,
    )
    ruleset, _, listing = done.stdout.partition("----\n")
    return ruleset, listing


def test_chains_have_their_place_and_policy(printed: tuple[str, str]) -> None:
    tables = parse_ruleset(*printed)
    assert set(tables) == {("inet", "own"), ("netdev", "early")}
    chain = tables["inet", "own"].chains["input"]
    assert (chain.hook, chain.kind, chain.priority, chain.policy, chain.devices) == (
        ("input", "filter", -5, "drop", None)
    )
    assert tables["inet", "own"].chains["other"].hook is None
    assert tables["netdev", "early"].chains["lo"].devices == ["lo"]


def test_rules_have_the_words_that_one_types(printed: tuple[str, str]) -> None:
    long, named, jump = parse_ruleset(*printed)["inet", "own"].chains["input"].rules
    assert long.text.startswith("tcp dport { 1001, 1003, ")
    assert long.text.endswith(", 1023 } accept")
    assert named.text.startswith("ip saddr @known counter packets 0 bytes 0 drop comment ")
    assert jump.text == "jump other"
    assert jump.expressions == [{"jump": {"target": "other"}}]


def test_sets_and_maps_have_their_elements(printed: tuple[str, str]) -> None:
    sets = parse_ruleset(*printed)["inet", "own"].sets
    assert {"prefix": {"addr": "10.0.0.0", "len": 8}} in sets["known"]
    assert sets["ways"] == [["lo", {"accept": None}]]


def test_without_the_listing_a_rule_has_its_handle(printed: tuple[str, str]) -> None:
    rules = parse_ruleset(printed[0], "")["inet", "own"].chains["other"].rules
    assert [rule.text.split()[0] for rule in rules] == ["handle"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"nftables": [{"rule": {}}]}',
        '{"nftables": ["x"]}',
        '{"nftables": [{"a": 1, "b": 2}]}',
        '{"nftables": [{"chain": {"family": "ip", "table": "gone", "name": "x"}}]}',
        json.dumps({"nftables": 5}),
    ],
)
def test_what_is_no_list_of_rules_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_ruleset(text, "")
