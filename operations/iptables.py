"""
iptables rules in chains of their own, live and at boot; all other rules stay.

pyinfra's ``iptables.rule`` adds some rules twice, ignores ``!``, and knows no order and no boot.
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
from formats.node_record import Entry, fingerprint
from messages import network
from operations import guard
from operations.base import (
    Commands,
    HostFailure,
    declare,
    declare_recorded,
    diff,
    plan_change,
    read,
)
from operations.files import ensure
from operations.guard import Step
from operations.node_record import ChangedSince
from operations.packages import apt

_FILE = """# Written by bramble, which replaces it at its next run.
# Restore these chains with: systemctl start {unit}
# (iptables-restore needs --noflush, and does not add the jumps from the built-in chains.)
"""

# Runs before any interface is up, and after programs that replace whole tables. No RemainAfterExit:
# each `systemctl start` restores the rules again.
_UNIT = """# Written by bramble, which replaces it at its next run.
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
# Removes those of the tables ($@) in which nft keeps empty built-in chains only, as on a node where
# nobody ever added a rule.
_TIDY = r"""case $(iptables -V) in *nf_tables*) ;; *) exit 0;; esac;
for t; do nft list table ip "$t" 2>/dev/null | awk '/^(table|}|$)/ {next}
/^\tchain/ {opened = 1; next} opened && /policy accept;$/ {opened = 0; next}
/^\t}/ && !opened {next} {used = 1} END {exit !used}' ||
nft delete table ip "$t" 2>/dev/null; done; exit 0"""
_WHAT = "the iptables rules"
_JUMP = "ExecStart=/bin/sh -c '{check} 2>/dev/null || {insert}'\n"


def unit_name(path: str) -> str:
    """
    Return the systemd unit that restores a rules file.

    + path: the file
    """
    return splitext(basename(path))[0].replace("_", "-") + ".service"


def post_up(path: str = "/etc/cluster_ip_rules.fw") -> str:
    """
    Return the command for an interface's ``post-up`` line that restores a rules file.

    It can be repeated. A failure, or a file that does not exist yet, does not keep the interface
    down; ``systemctl --failed`` shows it.

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
    Set iptables rules, live and at boot.

    The rules of a built-in chain go into a chain such as ``BRAMBLE-FORWARD``, in their order, and
    the built-in chain gets one jump to it as its first rule, so that they come before the rules of
    others. The node's own iptables defines what a rule means: each is loaded in a network namespace
    first, and compared as iptables-save prints it. A systemd unit restores the rules before the
    network comes up; ``post_up`` is for interfaces files. It is a guarded change: rules that cut
    the connection are rolled back.

    + rules: arguments of iptables: ``-t nat -A POSTROUTING …``. Host names only if they are in
      /etc/hosts: the rules are restored before the network is up
    + path: file from which they are restored
    + prefix: of the chains' names, which marks them as own: up to 16 of A-Z, 0-9 and ``_``
    + present: False removes the rules, the chains, the file and the unit
    """
    yield from _ruleset(rules if present else [], path, prefix, present)


def remove(resource: str, entry: Entry) -> Commands:
    """
    Remove recorded rules, their chains and what restores them; for ``removals``.

    The other nodes may still use them: they are removed after the changes of those are confirmed.

    + resource: "rules PREFIX-*"
    + entry: what the record says of them: ``path``, and fingerprints of the ``files``
    + raises ``ChangedSince``
    """
    prefix, path = resource.partition(" ")[2].removesuffix("-*"), str(entry.arguments["path"])
    files = dict(zip((path, _unit_path(path)), entry.arguments["files"], strict=True))
    chains = OwnChains(prefix, [])
    now = _read(chains, unit_name(path), list(files))
    live = chains.show_live(parse_save(now.rules))
    if live and not entry.holds(fingerprint(live)):
        raise ChangedSince(f"iptables-save | grep {prefix}-")
    for each, expected in files.items():
        if fingerprint(now.files[each].text or "") not in (expected, fingerprint("")):
            raise ChangedSince(f"rm {each}")
    for command in _ruleset([], path, prefix, present=False):
        if isinstance(command, Step):
            command.after_others = True
        yield command


def _unit_path(path: str) -> str:
    return f"/etc/systemd/system/{unit_name(path)}"


def _ruleset(rules: list[str], path: str, prefix: str, present: bool) -> Commands:
    with _rule_errors():
        chains = OwnChains(prefix, rules)
    unit = unit_name(path)
    unit_path = _unit_path(path)
    now = _read(chains, unit, [path, unit_path])
    live = parse_save(now.rules)
    text = _FILE.format(unit=unit) + chains.restore_file() if present else None
    unit_text = _unit(path, chains) if present else None
    _declare(chains, path, text, unit_text)
    repair = chains.repair(live)
    commands: list[PyinfraCommand | str] = []
    install = now.backend is None and present
    if install:
        plan_change("install iptables")
    if repair:
        before, after = chains.show_live(live), chains.show_desired()
        what, resource = f"the iptables rules in {prefix}-*", f"rules {prefix}-*"
        diff(what, before or None, after or None, resource=resource)
    # With the unit's file, changed or not: at boot, the guard rolls back before the units it saved.
    file = ensure(path, text, now=now.files[path], recorded=False)
    commands += guard.as_steps(file, path, unit_path, what=_WHAT)
    unit_file = ensure(unit_path, unit_text, now=now.files[unit_path], recorded=False)
    unit_commands = list(guard.as_steps(unit_file, unit_path, what=_WHAT))
    if now.enabled != present:
        verb = "enable" if present else "disable"
        plan_change(f"{verb} {unit}", f"unit {unit}")
        link = f"/etc/systemd/system/multi-user.target.wants/{unit}"
        switch = Step("systemctl", verb, "--quiet", QuoteString(unit), what=_WHAT, paths=[link])
        unit_commands.insert(len(unit_commands) if present else 0, switch)
    if now.stale and not unit_commands:
        plan_change(f"have systemd reload {unit}", f"unit {unit}")
    if unit_commands or now.stale:
        unit_commands.append(Step("systemctl", "daemon-reload", what=_WHAT))
    commands += unit_commands
    if not (install or repair or commands):
        host.noop(f"{path} is up to date and loaded" if present else f"{path} does not exist")
    if install:
        yield from apt.install(["iptables"])
        # Only now can the rules be tried, and existing ones be seen.
        repair = chains.repair(parse_save(_read(chains, unit, [path, unit_path]).rules))
        _declare(chains, path, text, unit_text)
    if repair:
        # Each table changes atomically. --noflush: only the named chains change.
        words = ("iptables-restore", "--wait", "--noflush")
        yield Step(*words, what=_WHAT, prefix=prefix, _stdin=repair)
        if not present:
            yield Step("sh", "-c", QuoteString(_TIDY), "tidy", *parse_save(repair), what=_WHAT)
    yield from commands


def _declare(chains: OwnChains, path: str, text: str | None, unit_text: str | None) -> None:
    resource = f"rules {chains.prefix}-*"
    declare(resource, f"unit {unit_name(path)}")
    if text is not None and unit_text is not None:
        files = [fingerprint(text), fingerprint(unit_text)]
        declare_recorded(resource, fingerprint(chains.show_desired()), path=path, files=files)


def _read(chains: OwnChains, unit: str, paths: list[str]) -> IptablesState:
    """Read the present rules; ``HostFailure`` if iptables refuses the desired ones."""
    now = read(Iptables, unit=unit, paths=paths, trial=chains.trial())
    check_readable(now, {table for table, _ in chains.desired} or set(CHAINS))
    if now.tried is not None:
        with _rule_errors():
            chains.parse_trial(now.tried, now.refusal)
    return now


@contextmanager
def _rule_errors() -> Iterator[None]:
    try:
        yield
    except RuleError as error:
        raise HostFailure(network.RULE_INVALID(problem=error)) from None


def check_readable(now: IptablesState, used: set[str]) -> None:
    """``HostFailure`` if rules exist that iptables does not show, in the tables that are used."""
    tables = holds_rules(parse_save(now.other))
    if tables:
        here, there = ("nft", "legacy") if now.backend == "nf_tables" else ("legacy", "nft")
        values = {"used": here, "other": there, "tables": ", ".join(tables)}
        raise HostFailure(network.TWO_BACK_ENDS(**values))
    unreadable = [table for table in incompatible(now.rules) if table in used]
    if unreadable:
        raise HostFailure(network.RULES_OF_NFT(table=unreadable[0]))


def _unit(path: str, chains: OwnChains) -> str:
    jumps = ""
    for table, chain in sorted(chains.desired):
        check, insert = (
            f"iptables -w -t {table} {verb} {chain} -j {chains.name(chain)}"
            for verb in ("-C", "-I")
        )
        jumps += _JUMP.format(check=check, insert=insert)
    return _UNIT.format(path=path, jumps=jumps)
