"""Read what makes scheduled backups on the control plane, and what takes copies on another node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pyinfra.api import StringCommand

from facts.backup import COPIES, OWN
from facts.base import State, WholeFact, ask, number, one_of
from facts.files import READ_FILES, FileState, parse_files
from formats import backup
from formats.backup_schedule import NAME

SCRIPTS = "/usr/local/lib/bramble"
ARCHIVE, COPY, RECEIVE, TURN = (
    f"{SCRIPTS}/backup-{name}.sh" for name in ("archive", "copy", "receive", "turn")
)
SERVICE, TIMER = f"{NAME}.service", f"{NAME}.timer"
UNITS = "/etc/systemd/system"
KEY, KNOWN_HOSTS = "/etc/bramble/backup-key", "/etc/bramble/backup-known-hosts"
USER = "bramble-backup"
AUTHORIZED = f"{COPIES}/.ssh/authorized_keys"
PERIODS_S = 2 * 86400  # two of a schedule's
SENDER_FILES = [ARCHIVE, COPY, TURN, f"{UNITS}/{SERVICE}", f"{UNITS}/{TIMER}", KNOWN_HOSTS]

STATE = f"""systemctl is-enabled --quiet {TIMER} 2>/dev/null && echo enabled || echo -;
systemctl is-active --quiet {TIMER} && echo active || echo -;
systemctl is-failed --quiet {SERVICE} && echo failed || echo -;
find {OWN} -maxdepth 1 -name '*Z.tar' -printf '%f\\n' 2>/dev/null |
sed 's/.*-\\([0-9TZ]*\\)\\.tar$/\\1 &/' | sort | tail -n1 | cut -d' ' -f2 | grep . || echo -;
cat {OWN}/.copied 2>/dev/null | grep . || echo -; date +%s"""
_SENDER = (
    f"""{STATE}; command -v age >/dev/null && echo age || echo -;
cat {KEY}.pub 2>/dev/null | grep . || echo -;
"""
    + READ_FILES
)
_RECEIVER = (
    f"""getent passwd {USER} >/dev/null && echo user || echo -;
stat -c '%a %U' {COPIES} 2>/dev/null || echo -;
cat /etc/ssh/ssh_host_*_key.pub 2>/dev/null | cut -d' ' -f1,2 | paste -sd, | grep . || echo -;
"""
    + READ_FILES
)


@dataclass(frozen=True)
class ScheduleState(State):
    """
    + enabled, active: of the timer
    + failed: whether the service has failed, and not run since
    + newest, copied: when the newest archive was made, and the newest that the other node has;
      seconds since 1970, None: there is none
    + now: by the node's clock
    """

    enabled: bool
    active: bool
    failed: bool
    newest: int | None
    copied: int | None
    now: int


@dataclass(frozen=True)
class SenderState(State):
    """
    + schedule: how the backups are
    + has_age: whether age is installed
    + key: the public key that copies are sent with; "" without one
    + files: those of ``SENDER_FILES``
    """

    schedule: ScheduleState
    has_age: bool
    key: str
    files: dict[str, FileState]


@dataclass(frozen=True)
class ReceiverState(State):
    """
    + has_user: whether the user who takes the copies exists
    + folder: mode and owner of its home directory; "-" without it
    + host_keys: sshd's public keys, each type and key
    + files: what takes the copies, and who may send them
    """

    has_user: bool
    folder: str
    host_keys: list[str]
    files: dict[str, FileState]


class BackupSender(WholeFact[SenderState]):
    """Read what makes and sends scheduled backups: a ``SenderState``."""

    def command(self) -> StringCommand:
        return ask(_SENDER, *SENDER_FILES)

    def parse(self, *lines: str) -> SenderState:
        return SenderState(
            parse_schedule(*lines[:6]),
            one_of(lines[6], "age", "-") == "age",
            "" if lines[7] == "-" else lines[7],
            parse_files(lines[8:], SENDER_FILES),
        )


class BackupReceiver(WholeFact[ReceiverState]):
    """Read what takes copies of backups: a ``ReceiverState``."""

    def command(self) -> StringCommand:
        return ask(_RECEIVER, RECEIVE, AUTHORIZED)

    def parse(self, user: str, folder: str, host_keys: str, *files: str) -> ReceiverState:
        return ReceiverState(
            one_of(user, "user", "-") == "user",
            folder,
            [] if host_keys == "-" else host_keys.split(","),
            parse_files(files, [RECEIVE, AUTHORIZED]),
        )


def parse_schedule(
    enabled: str, active: str, failed: str, newest: str, copied: str, now: str
) -> ScheduleState:
    """Parse the output of ``STATE``."""
    return ScheduleState(
        one_of(enabled, "enabled", "-") == "enabled",
        one_of(active, "active", "-") == "active",
        one_of(failed, "failed", "-") == "failed",
        _taken(newest),
        _taken(copied),
        number(now),
    )


def _taken(name: str) -> int | None:
    found = backup.parse_name(name)
    return None if found is None else int(found.taken.timestamp())


def overdue(states: Sequence[ScheduleState], copies: bool) -> str:
    """
    Say why a backup is due, beyond its schedule; "" if it is not.

    + states: of all control planes that make backups in turn
    + copies: whether another node gets copies
    """
    if any(each.failed for each in states):
        return "the last one has failed"
    now = max(each.now for each in states)
    newest = {"backup": [each.newest for each in states if each.newest is not None]}
    if copies:
        newest["copy"] = [each.copied for each in states if each.copied is not None]
    for what, times in newest.items():
        if not times:
            return f"there is no {what} yet"
        if now - (taken := max(times)) > PERIODS_S:
            when = datetime.fromtimestamp(taken, UTC)
            return f"the newest {what} is of {when:%Y-%m-%d %H:%M} UTC"
    return ""
