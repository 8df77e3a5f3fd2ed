"""
One run at a time: a run that changes nodes holds a lock on each of them until it ends.

The lock is a flock(2) of a process on the node, which lives as long as the SSH connection that
started it and gets a byte from this computer every few seconds. So it ends with the run, however
that ends: with ``kill -9`` too, and a minute after this computer has lost its power. It is taken
before the first change, on all nodes of the run; what changes nothing neither takes nor needs it.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import sys
import time
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import pairwise
from secrets import token_hex

import gevent
from gevent.lock import RLock
from paramiko import Channel, SSHException
from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
import runs
from facts.run_lock import LAST, PATH, RunLockState, holder_of
from messages import Said
from messages import run as messages
from remote import pyinfra_internals, shell
from remote.connection import ANSWER_S
from remote.failures import HostFailure
from runs import gathering

_BEAT_S = 10  # between two heartbeats
_SILENCE_S = 60  # without a heartbeat, after which the node releases the lock
_ANSWER_S = 30  # for the node to answer
_SAYS = "bramble run lock: "

# $1: this run's ID; $2: its description. A holder with the same ID belongs to a lost connection of
# this run: it is killed. Another holder gets 10 s to exit. `head` does not inherit the descriptor.
# The answer names the run that has held the lock before.
_HOLD = f"""umask 077; f={PATH}; say() {{ printf '\\n{_SAYS}%s\\n' "$*"; }};
mkdir -p "${{f%/*}}" && exec 9<> "$f" || {{ say "failed could not open $f"; exit; }};
if ! flock -n 9; then
[ "$(sed -n 1p "$f")" != "$1" ] || kill "$(sed -n 2p "$f")" 2>/dev/null;
flock -w 10 9 || {{ say "taken $(base64 -w0 < "$f") $(date +%s)"; exit; }}; fi;
printf '%s\\n' "$1" $$ "$(date +%s)" "$2" > "$f" || {{ say "failed could not write $f"; exit; }};
say mine "$(cat {LAST} 2>/dev/null)"; printf '%s\\n' "$1" > {LAST};
while [ -n "$(timeout {_SILENCE_S} head -c 1 9>&-)" ]; do :; done; : > "$f\""""


class NotTaken(HostFailure):
    """The lock of this host could not be taken, or another run holds it."""


class Lock:
    """
    The locks that this run holds; ``lock.of(state)``.

    + blocked: why this run has to stop, once it has met another one; else None
    """

    def __init__(self) -> None:
        self.blocked: Said | None = None
        self._id = token_hex(8)
        self._taking = RLock()
        self._taken = False  # whether all nodes were tried
        self._held: dict[str, tuple[Channel, float]] = {}
        self._me = json.dumps(
            {
                "who": f"{operator()}, process {os.getpid()}",
                "command": _command(sys.argv),
                "began": f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %Z}",
            }
        )

    def is_another(self, holder: RunLockState) -> bool:
        """Whether it is another run that holds a lock."""
        return holder.id not in ("", self._id)

    def is_stale(self, seen: RunLockState | None, last: str) -> bool:
        """
        Whether another run may have changed a node since this run has read its state.

        + seen: the lock then; None: nothing was read
        + last: the run that has held the lock before this one
        """
        return seen is not None and (self.is_another(seen) or last not in (seen.last, ""))

    def hold(self, host: Host) -> None:
        """
        Ensure that this run holds the lock of a host which it is about to change.

        The first call takes the locks of all hosts in the run. Costs nothing while they are held.

        + raises ``NotTaken``
        """
        with self._taking:
            if not self._taken and not self.blocked:
                self._take_all(host.state)
            if not self.blocked and not self._holds(host):
                self._take(host)
            if self.blocked:
                raise NotTaken(self.blocked)

    def _take_all(self, state: State) -> None:
        """Lock the first host before the others: of two simultaneous runs, one stops."""
        first, *others = [each for each in state.inventory if each in state.active_hosts]
        self._try(first)
        gevent.joinall([gevent.spawn(self._try, each) for each in others if not self.blocked])
        if self.blocked:
            for channel, _ in self._held.values():
                channel.close()
            self._held.clear()
        else:
            for each in (first, *others):
                again = partial(gevent.spawn, self._take_again, each)
                remote.of(each).on_reconnect.append(again)
        self._taken = True

    def _try(self, host: Host) -> None:
        """Take the lock if possible; otherwise the host fails when it is about to be changed."""
        with suppress(NotTaken):
            self._take(host)

    def _take_again(self, host: Host) -> None:
        """Take the lock again: it ended with the old connection."""
        with self._taking:
            if not self.blocked and not self._holds(host):
                self._try(host)

    def _take(self, host: Host) -> None:
        node = remote.of(host)
        if not node.is_ssh:
            return  # this computer itself
        words = [QuoteString(word) for word in (self._id, self._me)]
        command = StringCommand("sh", "-c", QuoteString(_HOLD), "sh", *words)
        unix = pyinfra_internals.shell_command(host, command)
        try:
            channel = node.open_channel(ANSWER_S)
            channel.settimeout(_ANSWER_S)
            channel.exec_command(shell.portable(unix.get_raw_value()))
            said = _answer(channel)
        except (OSError, EOFError, SSHException) as error:
            raise NotTaken(messages.CONNECTION_LOST(reason=str(error) or "closed")) from error
        state, _, rest = said.partition(" ")
        if state == "mine":
            if not self._taken and self.is_stale(gathering.of(host.state).lock_of(host), rest):
                channel.close()
                self.blocked = messages.RUN_ENDED(node=host.name)
                raise NotTaken(self.blocked)
            self._held[host.name] = channel, time.monotonic()
            gevent.spawn(self._beat, host.name, channel)
            return
        channel.close()
        if state == "taken":
            self.blocked = messages.ANOTHER_RUN(
                node=host.name,
                holder=holder_of(*rest.split()),
                effect="this run stops here" if self._taken else "nothing was changed",
                seconds=_SILENCE_S,
            )
            raise NotTaken(self.blocked)
        raise NotTaken(messages.NOT_LOCKED(reason=rest or "no reason given"))

    def _beat(self, name: str, channel: Channel) -> None:
        while not channel.closed:
            try:
                channel.sendall(b".")
            except (OSError, EOFError, SSHException):
                return
            self._held[name] = channel, time.monotonic()
            gevent.sleep(_BEAT_S)

    def _holds(self, host: Host) -> bool:
        if not remote.of(host).is_ssh:
            return True
        channel, beat = self._held.get(host.name, (None, 0.0))
        return (
            channel is not None
            and not channel.closed
            and not channel.exit_status_ready()
            and channel.get_transport().is_active()
            and time.monotonic() - beat < _SILENCE_S - _BEAT_S
        )


def of(state: State) -> Lock:
    """The locks of a run."""
    return runs.of(state).part(Lock)


def operator() -> str:
    """Return who runs this, and on which computer."""
    return f"{getpass.getuser()} on {socket.gethostname()}"


def current() -> Lock:
    """Return the locks of this process's run."""
    return runs.current().part(Lock)


def _answer(channel: Channel) -> str:
    """The line that is meant for this run, whatever the login shell prints before it."""
    with channel.makefile("rb") as lines:
        for line in lines:
            text = shell.decoded(line).strip()
            if text.startswith(_SAYS):
                return text.removeprefix(_SAYS)
    return ""


def _command(words: list[str]) -> str:
    """What was typed, without values of options: a password may be among them."""
    shown = [
        word
        for before, word in pairwise(words)
        if word.endswith(".py") or "--limit" in (before, word)
    ]
    return " ".join(["pyinfra", *shown])
