"""The unit that restores the rules at boot and at each post-up, with the real iptables."""

from __future__ import annotations

import shlex

from formats.iptables import OwnChains, parse_save
from operations import iptables
from tests.formats.test_iptables_chains import HEAD
from tests.formats.test_iptables_real import FOREIGN, Shell, foreign_of, rules_of, sh

__all__ = ["sh"]
FILE = "/etc/cluster_ip_rules.fw"
TIDY = iptables._TIDY  # the cases of operations replace it


def start_unit(sh: Shell, chains: OwnChains) -> None:
    """Run the unit's commands as systemd does, the file being the standard input."""
    commands = [
        line.removeprefix("ExecStart=")
        for line in iptables._unit(FILE, chains).splitlines()
        if line.startswith("ExecStart=")
    ]
    assert len(commands) == 1 + len(chains.desired)
    for command in commands:
        sh(shlex.join(shlex.split(command.replace(FILE, "/dev/stdin"))), chains.restore_file())


def test_the_unit_makes_rules_and_jumps_once_however_often_it_is_started(sh: Shell) -> None:
    sh("iptables-restore", FOREIGN)
    before = sh("iptables-save", "")
    start_unit(sh, HEAD)
    once = sh("iptables-save", "")
    start_unit(sh, HEAD)
    assert rules_of(sh("iptables-save", "")) == rules_of(once)
    assert foreign_of(once) == rules_of(before)
    assert sum("-j BRAMBLE-FORWARD" in line for line in once.splitlines()) == 1
    sh("iptables -F FORWARD; iptables -F BRAMBLE-FORWARD", "")
    start_unit(sh, HEAD)
    assert [line for line in rules_of(sh("iptables-save", "")) if "BRAMBLE" in line] == [
        line for line in rules_of(once) if "BRAMBLE" in line
    ]


def test_the_post_up_line_starts_the_unit_and_never_keeps_the_interface_down() -> None:
    assert iptables.unit_name(FILE) == "cluster-ip-rules.service"
    assert iptables.post_up(FILE) == "systemctl start cluster-ip-rules.service || true"


def remove_all(sh: Shell) -> None:
    repair = OwnChains("BRAMBLE", []).repair(parse_save(sh("iptables-save", "")))
    sh("iptables-restore --noflush", repair)
    sh(shlex.join(["sh", "-c", TIDY, "tidy", *parse_save(repair)]), "")


def test_a_removal_leaves_no_table_where_nobody_else_has_rules(sh: Shell) -> None:
    start_unit(sh, HEAD)
    assert sh("iptables-save", "")
    remove_all(sh)
    assert sh("iptables-save; nft list ruleset", "") == ""


def test_a_removal_leaves_all_that_others_have(sh: Shell) -> None:
    for others in ("iptables -t nat -N OTHERS; iptables -P FORWARD DROP", "iptables-restore"):
        sh("nft flush ruleset", "")
        sh(others, FOREIGN)
        before = rules_of(sh("iptables-save", ""))
        start_unit(sh, HEAD)
        assert rules_of(sh("iptables-save", "")) != before
        remove_all(sh)
        assert rules_of(sh("iptables-save", "")) == before
