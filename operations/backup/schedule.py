"""
Backups that the control planes make by a timer, and the copies that another node takes.

With several control planes each has the timer; the first whose API server is well makes the backup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pyinfra import host, inventory, state
from pyinfra.api import FunctionCommand, QuoteString, StringCommand
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.backup import COPIES
from facts.backup_schedule import (
    ARCHIVE,
    AUTHORIZED,
    COPY,
    KEY,
    KNOWN_HOSTS,
    RECEIVE,
    SERVICE,
    TIMER,
    TURN,
    UNITS,
    USER,
    BackupReceiver,
    BackupSender,
    ScheduleState,
    overdue,
)
from formats import backup, backup_schedule
from formats.node_record import Entry, fingerprint
from messages import backups as messages
from operations.backup import archive
from operations.backup.member import healthiest
from operations.base import (
    Commands,
    HostFailure,
    declare,
    declare_recorded,
    operation,
    plan_change,
    read,
    read_from,
    read_together,
)
from operations.files import ensure
from operations.packages import apt
from remote.failures import RemoteFailure

_HERE = Path(__file__).parent
_MINUTES = 65

# The public key is there last.
_KEYGEN = """set -e; install -d -m 755 "${1%/*}"; umask 077; rm -f "$1" "$1.pub" "$1.new"*;
ssh-keygen -q -t ed25519 -N '' -C bramble-backup -f "$1.new"; mv "$1.new" "$1"; sync "$1";
mv "$1.new.pub" "$1.pub\""""

# Its keys are root's, so that what takes the copies cannot let others in.
_USER = """set -e; getent passwd "$1" > /dev/null || useradd --system --user-group --shell /bin/sh \
--home-dir "$2" --no-create-home --password '*' "$1";
install -d -m 700 -o "$1" -g "$1" "$2"; install -d -m 755 -o root -g root "$2/.ssh\""""
# systemd keeps a manager for the user for some seconds after a session.
_NO_USER = """loginctl terminate-user "$1" 2>/dev/null; userdel --force "$1" &&
{ [ ! -d "$2" ] || chown -R root:root "$2"; }"""

_RUN = """systemctl start "$1" && exit;
journalctl "_SYSTEMD_UNIT=$1" -o cat -n 1 --no-pager >&2; exit 1"""


@operation()
def sender_key() -> Commands:
    """Generate the key with which this control plane sends copies of its backups."""
    paths = (KEY, f"{KEY}.pub")
    for path in paths:
        declare_recorded(f"file {path}", None, path=path)
    if read(BackupSender).key:
        host.noop(f"the key {KEY} exists")
        return
    plan_change(f"generate the key {KEY}", *(f"file {path}" for path in paths))
    yield StringCommand("sh", "-c", QuoteString(_KEYGEN), "key", QuoteString(KEY))


@operation()
def receiver(senders: Mapping[str, str], newest: int) -> Commands:
    """
    Take copies of the control planes' backups on this node: a user of its own, and one command.

    + senders: addresses by name; the only ones from which their keys are accepted
    + newest: how many are kept

    The key of a control plane that is away stays as it is known.
    """
    observed = read(BackupReceiver)
    user = f"user {USER}"
    declare_recorded(user, None)
    right = observed.has_user and observed.folder == f"700 {USER}"
    script = (_HERE / "receive.sh").read_text(encoding="utf-8")
    command = f'sh {RECEIVE} {newest} "$SSH_ORIGINAL_COMMAND"'.replace('"', '\\"')
    former = observed.files[AUTHORIZED]
    known = (former.text or "").splitlines(keepends=True)
    lines = []
    for name, address in senders.items():
        start = f'restrict,from="{address}",command="{command}" '
        if key := _sender_key(name, needed=len(senders) == 1):
            lines.append(f"{start}{key}\n")
        else:
            lines += [each for each in known if each.startswith(start)]
    if not lines and state.is_executing:
        raise HostFailure(messages.NO_SENDER_KEY(node=", ".join(senders)))
    files = [
        *ensure(RECEIVE, script, now=observed.files[RECEIVE]),
        *ensure(AUTHORIZED, "".join(lines), now=former),
    ]
    if right and not files:
        host.noop(f"copies of the backups of {', '.join(senders)} are taken")
        return
    if not right:
        plan_change(f"let the user {USER} keep copies of backups in {COPIES}", user)
        words = (QuoteString(USER), QuoteString(COPIES))
        yield StringCommand("sh", "-c", QuoteString(_USER), "user", *words)
    yield from files


def _sender_key(name: str, needed: bool) -> str:
    """The public key of a control plane; "" without one, or if it is not needed and away."""
    try:
        return read_from(inventory.get_host(name), BackupSender).key
    except HostFailure:
        if needed:
            raise
        return ""


@operation()
def schedule(
    time: str,
    newest: int,
    cluster: str,
    makers: Mapping[str, str],
    to: str,
    to_address: str,
    recipient: str,
) -> Commands:
    """
    Back up the cluster every day on this control plane when it is its turn, and now if that is
    overdue.

    + time: "03:00", by this node's clock
    + newest: how many are kept
    + cluster: its name
    + makers: the addresses of the control planes with this schedule by name, in the order of their
      turns
    + to, to_address: name and address of the node that gets copies; "": none does
    + recipient: of age, for whom the copies are encrypted; "": they are not

    ``HostFailure``: the overdue backup could not be made or copied.
    """
    observed = read(BackupSender)
    words = (str(newest), cluster, backup.name_part(cluster), host.name, makers[host.name])
    commands = [["/bin/sh", ARCHIVE, *words]]
    files = [*ensure(ARCHIVE, archive.SCRIPT, now=observed.files[ARCHIVE])]
    condition = _turn(makers)
    if condition:
        script = (_HERE / "turn.sh").read_text(encoding="utf-8")
        files += ensure(TURN, script, now=observed.files[TURN])
    if to:
        commands.append(["/bin/sh", COPY, to_address, recipient])
        script = (_HERE / "copy.sh").read_text(encoding="utf-8")
        files += ensure(COPY, script, now=observed.files[COPY])
        known = observed.files[KNOWN_HOSTS]
        files += ensure(KNOWN_HOSTS, _known_hosts(to, to_address, known.text), now=known)
    units = {
        SERVICE: backup_schedule.service(*commands, condition=condition),
        TIMER: backup_schedule.timer(time),
    }
    changed: list[PyinfraCommand | str] = []
    for name, text in units.items():
        path = f"{UNITS}/{name}"
        content = fingerprint("644", "root", "root", text)
        declare_recorded(f"unit {name}", content, keeps=[path], path=path)
        changed += ensure(path, text, now=observed.files[path], recorded=False)
    declare(f"backup {cluster}")
    if installs := bool(recipient and to and not observed.has_age):
        plan_change("install age", "package age")
    runs = observed.schedule.enabled and observed.schedule.active and not changed
    if not runs:
        plan_change(f"start {TIMER}, now and at every boot", f"unit {TIMER}")
    reason = _overdue(makers, observed.schedule, copies=bool(to))
    if reason:
        plan_change(f"back up the cluster now: {reason}", f"backup {cluster}")
    if runs and not files and not reason and not installs:
        host.noop(f"the cluster is backed up daily at {time}")
        return
    if installs:
        yield from apt.install(["age"])
    yield from files
    yield from changed
    if not runs:
        yield StringCommand("systemctl", "daemon-reload")
        yield StringCommand("systemctl", "enable", "--quiet", TIMER)
        yield StringCommand("systemctl", "restart", TIMER)
    if reason:
        yield FunctionCommand(_run, (), {})


def _turn(makers: Mapping[str, str]) -> Sequence[str]:
    """The command that tells whether it is this node's turn; none if it is the only one."""
    before = list(makers.values())[: list(makers).index(host.name)]
    return ("/bin/sh", TURN, makers[host.name], *before) if len(makers) > 1 else ()


def _overdue(makers: Mapping[str, str], own: ScheduleState, copies: bool) -> str:
    """Say why this node has to make a backup now; "" if it has not."""
    if healthiest(makers) != host.name:
        return ""
    others = [inventory.get_host(name) for name in makers if name != host.name]
    present = [each for each in others if each in state.active_hosts]
    found = read_together(*((each, BackupSender, {}) for each in present))
    return overdue([own, *(each.schedule for each in found)], copies)


def _known_hosts(to: str, address: str, now: str | None) -> str:
    """The host keys of the node that gets copies; while that one is away, as they are known."""
    try:
        keys = read_from(inventory.get_host(to), BackupReceiver).host_keys
    except HostFailure:
        if not now:
            raise
        return now
    return "".join(f"{address} {key}\n" for key in keys)


def _run(state: State, host: Host) -> bool:
    try:
        remote.of(host).run(_RUN, SERVICE, seconds=60 * _MINUTES)
    except RemoteFailure as failure:
        reason = str(failure.args[0]).rstrip(".")
        raise HostFailure(messages.SCHEDULED_FAILED(unit=SERVICE, reason=reason)) from failure
    return True


def remove_user(resource: str, entry: Entry) -> Commands:
    """
    Remove the recorded user who takes copies; they stay, for root alone; for ``removals``.

    + resource: "user NAME"
    + entry: what the record says of it
    """
    observed = read(BackupReceiver)
    if not observed.has_user:
        return
    plan_change(f"remove the user {USER}; {COPIES} stays, for root alone", resource)
    words = (QuoteString(USER), QuoteString(COPIES))
    yield StringCommand("sh", "-c", QuoteString(_NO_USER), "remove", *words)
