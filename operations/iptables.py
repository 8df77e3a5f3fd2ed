"""
iptables rules of our own, live and at boot, beside everybody else's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from posixpath import basename, splitext

from pyinfra import host
from pyinfra.api import QuoteString
from pyinfra.api.command import PyinfraCommand

from facts.iptables import Iptables, IptablesState
from formats.iptables import CHAINS, OwnChains, RuleError, holds_rules, incompatible, parse_save
from operations import apt, guard
from operations.base import Commands, HostFailure, declare, diff, plan_change, read
from operations.files import ensure
from operations.guard import Step

_FILE = """# Written by bramble: changes made here are undone by its next run.
# Own chains only. To restore them: systemctl start {unit}
# (iptables-restore by itself wants --noflush, and does not lead to them from the built-in chains).
"""

# Runs before any interface is up, and after others that fill whole tables (and empty them first);
# without RemainAfterExit, so that each `systemctl start` restores the rules again.
_UNIT = """# Written by bramble: changes made here are undone by its next run.
[Unit]
Description=Restore the iptables rules in {path}
StartLimitIntervalSec=0
DefaultDependencies=no
Wants=network-pre.target
After=local-fs.target systemd-modules-load.service nftables.service netfilter-persistent.service
Before=network-pre.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
ExecStart=/usr/sbin/iptables-restore --wait --noflush {path}
{jumps}
[Install]
WantedBy=multi-user.target
"""
_WHAT = "the iptables rules"
_JUMP = "ExecStart=/bin/sh -c '{check} 2>/dev/null || {insert}'\n"


def unit_name(path: str) -> str:
    """
    The systemd unit that restores a rules file.

    + path: the file
    """

    return splitext(basename(path))[0].replace("_", "-") + ".service"


def post_up(path: str = "/etc/cluster_ip_rules.fw") -> str:
    """
    The command for an interface's ``post-up`` line that restores a rules file.

    It can be repeated at will, and a failure (or a file that is yet to be written) does not keep
    the interface from coming up; ``systemctl --failed`` shows it.

    + path: the file
    """

    return f"systemctl start {unit_name(path)} || true"


@guard.operation
def ruleset(
    rules: list[str],
    path: str = "/etc/cluster_ip_rules.fw",
    prefix: str = "BRAMBLE",
    present: bool = True,
) -> Commands:
    """
    Rules in chains of their own, live and after a reboot; all other rules stay as they are.

    The rules of a built-in chain are put into a chain of ours (``BRAMBLE-FORWARD``), in their
    order, and the built-in chain gets one jump to it, at its top: a forward that others drop
    further down is accepted before. The node's own iptables says what a rule means: it is tried
    there first, in a network namespace, and compared as iptables-save prints it; one that iptables
    refuses fails the host with iptables' words. A unit of systemd restores the rules before the
    network comes up; ``post_up`` is for interfaces files. It goes through the guard: rules that
    cut the connection are taken back.

    + rules: the words that one would type: ``-t nat -A POSTROUTING …``. No host names, save those
      in /etc/hosts: the rules are restored before there is a network
    + path: the file from which they are restored; holds own chains only
    + prefix: of the own chains' names, and what makes them ours: up to 16 of A-Z, 0-9 and ``_``
    + present: False takes the rules, the chains, the file and the unit away

    **Example:**

    .. code:: python

        iptables.ruleset(
            name="The cluster's way out",
            rules=[
                "-t nat -A POSTROUTING -s 192.168.2.0/24 -o wlan0 -j MASQUERADE",
                "-A FORWARD -s 192.168.2.0/24 -i eth0 -o wlan0 -j ACCEPT",
                "-A FORWARD -d 192.168.2.0/24 -i wlan0 -o eth0"
                " -m state --state RELATED,ESTABLISHED -j ACCEPT",
            ],
        )
    """

    with _refusing():
        chains = OwnChains(prefix, rules if present else [])
    if present and not chains.wanted:
        raise HostFailure("no iptables rules were given: to take them away, say present=False")
    unit = unit_name(path)
    unit_path = f"/etc/systemd/system/{unit}"
    now = _look(chains, unit, [path, unit_path])
    live = parse_save(now.rules)
    declare(f"rules {prefix}-*", f"unit {unit}")
    repair = chains.repair(live)
    commands: list[PyinfraCommand | str] = []
    install = now.backend is None and present
    if install:
        plan_change("install iptables")
    if repair:
        before, after = chains.show_live(live), chains.show_wanted()
        what, resource = f"the iptables rules in {prefix}-*", f"rules {prefix}-*"
        diff(what, before or None, after or None, resource=resource)
    text = _FILE.format(unit=unit) + chains.restore_file() if present else None
    # The unit's file with it, changed or not: the guard goes back before whatever it names.
    commands += guard.keeping(ensure(path, text, now=now.files[path]), path, unit_path, what=_WHAT)
    unit_text = _unit(path, chains) if present else None
    unit_file = ensure(unit_path, unit_text, now=now.files[unit_path])
    unit_commands = list(guard.keeping(unit_file, unit_path, what=_WHAT))
    if now.enabled != present:
        verb = "enable" if present else "disable"
        plan_change(f"{verb} {unit}", f"unit {unit}")
        link = f"/etc/systemd/system/multi-user.target.wants/{unit}"
        switch = Step("systemctl", verb, "--quiet", QuoteString(unit), what=_WHAT, paths=[link])
        unit_commands.insert(len(unit_commands) if present else 0, switch)
    if now.stale and not unit_commands:
        plan_change(f"have systemd read {unit} again", f"unit {unit}")
    if unit_commands or now.stale:
        unit_commands.append(Step("systemctl", "daemon-reload", what=_WHAT))
    commands += unit_commands
    if not (install or repair or commands):
        host.noop(f"{path} is up to date, and live" if present else f"{path} is not there")
    if install:
        yield from apt.install(["iptables"])
        # There is one now that refuses bad rules, and shows those that were there without it.
        repair = chains.repair(parse_save(_look(chains, unit, [path, unit_path]).rules))
    if repair:
        # All of a table changes at once or not at all. --noflush: only what is named changes.
        words = ("iptables-restore", "--wait", "--noflush")
        yield Step(*words, what=_WHAT, prefix=prefix, _stdin=repair)
    yield from commands


def _look(chains: OwnChains, unit: str, paths: list[str]) -> IptablesState:
    """What is there, once iptables has found nothing wrong with the rules."""
    now = read(Iptables, unit=unit, paths=paths, trial=chains.trial())
    check_readable(now, {table for table, _ in chains.wanted} or set(CHAINS))
    if now.tried is not None:
        with _refusing():
            chains.judge(now.tried, now.refusal)
    return now


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except RuleError as error:
        raise HostFailure(f"iptables: {error}") from None


def check_readable(now: IptablesState, used: set[str]) -> None:
    """``HostFailure`` what would work today and surprise tomorrow, in the tables that we use."""
    tables = holds_rules(parse_save(now.other))
    if tables:
        here, there = ("nft", "legacy") if now.backend == "nf_tables" else ("legacy", "nft")
        raise HostFailure(
            f"both of iptables' back ends are in use: `iptables` is iptables-{here}, and there are "
            f"rules in iptables-{there} (table {', '.join(tables)}), which filter as well. "
            f"See them with iptables-{there}-save; remove them, or choose one back end for all "
            "with update-alternatives --config iptables"
        )
    unreadable = [table for table in incompatible(now.rules) if table in used]
    if unreadable:
        raise HostFailure(
            f"the table {', '.join(unreadable)} has rules that only nft can show: see them with "
            f"`nft list table ip {unreadable[0]}`, and move them to a table of their own"
        )


def _unit(path: str, chains: OwnChains) -> str:
    jumps = ""
    for table, chain in sorted(chains.wanted):
        check, insert = (
            f"iptables -w -t {table} {verb} {chain} -j {chains.name(chain)}"
            for verb in ("-C", "-I")
        )
        jumps += _JUMP.format(check=check, insert=insert)
    return _UNIT.format(path=path, jumps=jumps)
