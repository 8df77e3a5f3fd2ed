"""Own chains beside everybody else's, decided from text alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from formats.iptables import OwnChains, RuleError, parse_save
from tests.said import says

KUBERNETES = (Path(__file__).parent / "samples" / "kubernetes.iptables-save").read_text()
NAT = "-t nat -A POSTROUTING -s 192.168.2.0/24 -o wlan0 -j MASQUERADE"
OUT = "-A FORWARD -i eth0 -o wlan0 -j ACCEPT"
BACK = "-A FORWARD -i wlan0 -o eth0 -m state --state RELATED,ESTABLISHED -j ACCEPT"


def judged(*rules: str) -> OwnChains:
    """Rules that iptables prints as they are typed."""
    chains = OwnChains("BRAMBLE", rules)
    chains.parse_trial(chains.trial(), "")
    return chains


HEAD = judged(NAT, OUT, BACK)
NOTHING = judged()

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
    assert HEAD.show_live(parse_save(LIVE)) == HEAD.show_desired()
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
    other = judged(NAT, BACK, OUT)
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


TYPED = "-A FORWARD -o eth0 -s 10.1,10.2 -p tcp --dport ssh"
# What iptables-save prints once TYPED and OUT were tried.
TRIED = """*filter
:FORWARD ACCEPT [0:0]
:BRAMBLE-FORWARD - [0:0]
-A FORWARD -s 10.0.0.1/32 -o eth0 -p tcp -m tcp --dport 22
-A FORWARD -s 10.0.0.2/32 -o eth0 -p tcp -m tcp --dport 22
-A FORWARD -g BRAMBLE-FORWARD
-A FORWARD -i eth0 -o wlan0 -j ACCEPT
-A FORWARD -g BRAMBLE-FORWARD
COMMIT
"""
PRINTED = """*filter
:FORWARD ACCEPT [0:0]
:BRAMBLE-FORWARD - [0:0]
-A FORWARD -j BRAMBLE-FORWARD
-A BRAMBLE-FORWARD -s 10.0.0.1/32 -o eth0 -p tcp -m tcp --dport 22
-A BRAMBLE-FORWARD -s 10.0.0.2/32 -o eth0 -p tcp -m tcp --dport 22
-A BRAMBLE-FORWARD -i eth0 -o wlan0 -j ACCEPT
COMMIT
"""


def test_rules_are_compared_as_iptables_prints_them() -> None:
    chains = OwnChains("BRAMBLE", [TYPED, OUT])
    assert chains.repair(parse_save(PRINTED)) != ""  # not known yet
    chains.parse_trial(TRIED, "")
    assert chains.repair(parse_save(PRINTED)) == ""
    assert chains.show_desired() == chains.show_live(parse_save(PRINTED))
    assert "ssh" in chains.repair(parse_save(PRINTED.replace("22", "23")))


@pytest.mark.parametrize(
    ("tried", "said", "rule", "why"),
    [
        pytest.param(
            TRIED[: TRIED.index("-A FORWARD -i")] + "COMMIT\n",
            "iptables-restore v1.8.11 (nf_tables): Bad argument `x'\nError occurred at line: 8\n"
            "Try `iptables-restore -h' or 'iptables-restore --help' for more information.\n",
            OUT,
            "FMT016 iptables: Bad argument `x'",
            id="the first that is not there is the one that was refused",
        ),
        pytest.param(
            "",
            "Warning: Extension x revision 0 not supported, missing kernel module?\n"
            "iptables-restore v1.8.9 (nf_tables): \n"
            "line 3: RULE_APPEND failed (No such file or directory): rule in chain FORWARD\n",
            TYPED,
            "FMT016 iptables: Warning: Extension x revision 0 not supported, missing kernel",
            id="all that is said of it",
        ),
        pytest.param(
            "",
            "iptables-restore: line 5 failed\n",
            TYPED,
            "FMT016 iptables: failed (`sudo dmesg` may show the kernel's reason)",
            id="legacy iptables says little",
        ),
        pytest.param(
            TRIED.replace("-A FORWARD -i eth0 -o wlan0 -j ACCEPT\n", ""),
            "",
            OUT,
            "FMT016 it adds no rule: remove -6, -h or -V",
            id="nothing comes of it",
        ),
        pytest.param(
            "",
            "",
            TYPED,
            "FMT016 it adds no rule: remove -6, -h or -V",
            id="it ends there",
        ),
        pytest.param(
            TRIED.replace("-j ACCEPT", "-j BRAMBLE-INPUT"),
            "",
            OUT,
            "FMT016 its target is a chain that bramble fills: jump to another one",
            id="into an own chain",
        ),
    ],
)
def test_a_rule_of_which_iptables_makes_none_is_refused(
    tried: str, said: str, rule: str, why: str
) -> None:
    with pytest.raises(RuleError) as error:
        OwnChains("BRAMBLE", [TYPED, OUT]).parse_trial(tried, said)
    assert says(error.value, why)
    assert says(error.value, f"FMT016 {rule!r}")


def test_an_address_is_asked_for_where_a_name_is_not_known() -> None:
    said = "iptables-restore v1.8.9 (legacy): host/network `router.lan' not found\n"
    with pytest.raises(RuleError, match=r"`router.lan' not found .*give its address"):
        OwnChains("BRAMBLE", [TYPED]).parse_trial("", said)


@pytest.mark.parametrize("prefix", ["", "bramble", "A B", "X" * 17])
def test_a_prefix_that_makes_no_chain_names_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="is not a prefix"):
        OwnChains(prefix, [])
