"""Rules are tried and compared by the real iptables: what it takes, prints and refuses."""

from __future__ import annotations

import os
import re
import shlex
from base64 import b64decode
from pathlib import Path

import pytest
from pyinfra.api import FactProcessError

from facts.iptables import _TRIAL, Iptables, IptablesState
from formats.iptables import OwnChains, RuleError, parse_save
from tests import needs
from tests.formats.test_iptables_real import FOREIGN, Shell, rules_of, sh
from tests.said import saying, says

__all__ = ["sh"]
SAMPLES = Path(__file__).parent.parent / "formats" / "samples" / "iptables-rules.txt"
TYPED = [line for line in SAMPLES.read_text().split("\n") if line.startswith("-")]
OTHERS = """ipset create strangers hash:ip timeout 0; ipset add strangers 1.2.3.4
ipset create pairs hash:ip,port; iptables -N DOCKER-USER"""


@pytest.fixture(params=["nft", "legacy"])
def backend(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which of the two `iptables` is."""
    needs.here("iptables-restore", "ipset", "flock")
    for name in ("iptables", "iptables-save", "iptables-restore"):
        (tmp_path / name).symlink_to(f"/usr/sbin/xtables-{request.param}-multi")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return str(request.param)


def ask(sh: Shell, chains: OwnChains) -> IptablesState:
    """The fact, as a node answers it, with the rules judged."""
    fact = Iptables()
    command = fact.command("none.service", [], chains.trial()).get_raw_value()
    state = fact.process(sh(command, "").split("\n"))
    assert state.tried is not None
    chains.parse_trial(state.tried, state.refusal)
    return state


def by_hand(sh: Shell, rules: list[str]) -> tuple[list[str], dict[str, str]]:
    """The rules that the command iptables takes, and what it says against the others."""
    lines = [
        f"said=$(iptables {shlex.join(shlex.split(rule))} 2>&1); "
        'echo "$? $(printf %s "$said" | base64 -w0)"'
        for rule in rules
    ]
    answers = [line.split(" ") for line in sh("\n".join([OTHERS, *lines]), "").splitlines()]
    sh("for t in filter nat mangle raw; do iptables -t $t -F; done", "")
    said = dict(zip(rules, answers, strict=True))
    return (
        [rule for rule in rules if said[rule][0] == "0"],
        {rule: b64decode(said[rule][1]).decode() for rule in rules if said[rule][0] != "0"},
    )


def test_what_iptables_takes_is_taken_and_a_second_run_changes_nothing(
    sh: Shell, backend: str
) -> None:
    taken, _ = by_hand(sh, TYPED)
    assert len(taken) > 250
    chains = OwnChains("BRAMBLE", taken)
    before = ask(sh, chains)
    assert sum(map(len, chains.printed.values())) > len(taken)  # of some come two
    sh("iptables-restore --noflush", chains.repair(parse_save(before.rules)))
    again = OwnChains("BRAMBLE", taken)
    after = ask(sh, again)
    assert again.repair(parse_save(after.rules)) == ""
    assert again.show_desired() == again.show_live(parse_save(after.rules))
    sh("iptables-restore --noflush", again.restore_file())  # as at boot
    assert again.repair(parse_save(ask(sh, again).rules)) == ""


def test_what_iptables_refuses_is_refused_in_its_own_words(sh: Shell) -> None:
    _, refused = by_hand(sh, TYPED)
    assert len(refused) > 50
    asked = {
        rule: OwnChains("BRAMBLE", ["-A INPUT -j ACCEPT", rule, "-A OUTPUT -j ACCEPT"])
        for rule in refused
    }
    # What the fact runs for each, all in one go.
    trial = "unshare --net --mount sh -c {} sh {} '' < /dev/null"
    commands = [trial.format(*map(shlex.quote, (_TRIAL, c.trial()))) for c in asked.values()]
    answers = sh("\n".join(commands), "").splitlines()
    for rule, said, printed in zip(asked, answers[::3], answers[1::3], strict=True):
        with pytest.raises(RuleError) as error:
            asked[rule].parse_trial(b64decode(printed).decode(), b64decode(said).decode())
        assert says(error.value, f"FMT016 {rule!r}")
        assert says(error.value, "FMT016 iptables: ")
        words = refused[rule].split("\nTry `")[0].strip().split("\n")[-1]
        words = re.sub(r"^iptables( v\S+ \(\w+\))?: ", "", words).strip()
        assert words in str(error.value)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("-A INPUT -h", "FMT016 it adds no rule: remove -6, -h or -V"),
        ("-A INPUT --version", "FMT016 it adds no rule: remove -6, -h or -V"),
        (
            "-A INPUT -6 -j DROP",
            "FMT016 it adds no rule: remove -6, -h or -V",
        ),
        (
            "-A INPUT -g BRAMBLE-INPUT",
            "FMT016 it adds no rule: remove -6, -h or -V",
        ),
        (
            "-A INPUT -s 1.2.3.4 -j BRAMBLE-INPUT",
            "FMT016 its target is a chain that bramble fills",
        ),
        (
            "-A INPUT -j BRAMBLE-INPUT",
            "FMT016 its target is a chain that bramble fills",
        ),
    ],
)
def test_what_adds_no_rule_or_makes_a_loop_is_refused(sh: Shell, rule: str, why: str) -> None:
    with pytest.raises(RuleError) as error:
        ask(sh, OwnChains("BRAMBLE", ["-A INPUT -j ACCEPT", rule, "-A INPUT -j DROP"]))
    assert says(error.value, f"FMT016 {rule!r}")
    assert says(error.value, why)


PRINTED = {
    "-A INPUT -p udp --dport 010": ["-p udp -m udp --dport 10"],
    "-A INPUT -p tcp --dport ssh": ["-p tcp -m tcp --dport 22"],
    "-A INPUT -s 10.0.0.1,10.9/16": ["-s 10.0.0.1/32", "-s 10.9.0.0/16"],
    "-A INPUT -m pkttype --pkt-type bcast": ["-m pkttype --pkt-type broadcast"],
    "-A INPUT -s localhost -j DROP": ["-s 127.0.0.1/32 -j DROP"],
    "-A INPUT -j REJECT": ["-j REJECT --reject-with icmp-port-unreachable"],
    "-A INPUT -j DOCKER-USER": ["-j DOCKER-USER"],
    "-A INPUT -m set --match-set strangers src": ["-m set --match-set strangers src"],
}


def test_rules_are_known_as_iptables_prints_them(sh: Shell, backend: str) -> None:
    sh(OTHERS, "")
    chains = OwnChains("BRAMBLE", PRINTED)
    ask(sh, chains)
    assert chains.printed["filter", "INPUT"] == [
        f"-A BRAMBLE-INPUT {line}" for lines in PRINTED.values() for line in lines
    ]


def test_what_iptables_save_warns_of_is_not_among_the_rules(sh: Shell, backend: str) -> None:
    rules = ["-A INPUT -m connlabel --label 1", *TYPED[:9]]
    chains = OwnChains("BRAMBLE", rules)
    sh("iptables-restore --noflush", chains.repair(parse_save(ask(sh, chains).rules)))
    said = sh("iptables-save 2>&1 >/dev/null", "")
    assert "connlabel.conf" in said  # which Debian does not have
    state = ask(sh, chains)
    assert said.strip() not in state.rules
    assert chains.repair(parse_save(state.rules)) == ""


def test_a_first_rule_is_refused_where_iptables_save_prints_nothing_without_rules(
    sh: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = tmp_path / "iptables-save"  # as of iptables 1.8.11
    save.write_text('#!/bin/sh\nt=$(/usr/sbin/iptables-save); case $t in *-A*) echo "$t";; esac\n')
    save.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with saying("FMT016 iptables: Bad argument `x'", RuleError):
        ask(sh, OwnChains("BRAMBLE", ["-A INPUT x"]))


def test_to_try_rules_changes_nothing_and_waits_for_nobody(
    sh: Shell, backend: str, tmp_path: Path
) -> None:
    sh(OTHERS, "")
    sh("iptables-restore", FOREIGN)
    before = rules_of(sh("iptables-save; ipset save", ""))
    chains = OwnChains("BRAMBLE", TYPED[:1])
    command = Iptables().command("none.service", [], chains.trial()).get_raw_value()
    # With mounts of its own, to which others on this machine add none; where one of them removes a
    # directory that was mounted on, that mount goes everywhere.
    mounts = tmp_path / "mounts"
    script = (
        f"exec 9>>/run/xtables.lock; flock 9; mount > {mounts}; {command}; "
        f"! mount | grep -vxFf {mounts}"
    )
    sh(shlex.join(["unshare", "--mount", "sh", "-ec", script]), "")
    assert rules_of(sh("iptables-save; ipset save", "")) == before


def test_a_node_without_network_namespaces_fails(
    sh: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unshare").write_text(
        "#!/bin/sh\necho unshare failed: Invalid argument >&2; exit 1\n"
    )
    (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(FactProcessError, match=r"unshare failed: Invalid argument.*\(NET055\)"):
        ask(sh, OwnChains("BRAMBLE", TYPED[:1]))


def test_no_namespace_is_made_where_there_is_nothing_to_try(
    sh: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unshare").symlink_to("/bin/false")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    fact = Iptables()
    state = fact.process(sh(fact.command("none.service", []).get_raw_value(), "").split("\n"))
    assert (state.tried, state.refusal) == (None, "")
