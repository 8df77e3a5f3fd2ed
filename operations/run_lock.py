"""
One run at a time: a run that changes nodes holds a lock on each of them, until it ends.

The lock is a flock(2) of a process on the node, which lives as long as the SSH connection that
started it, and hears from this computer every few seconds. So it is gone with the run, however that
ends: also by ``kill -9``, and a minute after this computer has lost its power. It is taken before
the first change, on all nodes of the run: what changes nothing neither takes it nor minds it.
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
from itertools import pairwise
from secrets import token_hex
from weakref import WeakKeyDictionary

import gevent
from gevent.lock import RLock
from paramiko import Channel, SSHException
from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.connectors.util import make_unix_command_for_host

from facts.run_lock import PATH, RunLockState, holder_of
from operations import connection, login_shell
from operations.failures import HostFailure

_BEAT_S = 10  # between two signs of life
_SILENCE_S = 60  # after which the node takes a run for dead
_ANSWER_S = 30  # for the node to answer
_SAYS = "bramble run lock: "
_ID = token_hex(8)  # of this run

# $1: this run's ID; $2: who it is. A holder of the same run sits on a connection that this run has
# given up. One that is about to end gets its time. No other process has the lock's descriptor.
_HOLD = f"""umask 077; f={PATH}; say() {{ printf '\\n{_SAYS}%s\\n' "$*"; }};
mkdir -p "${{f%/*}}" && exec 9<> "$f" || {{ say "failed could not open $f"; exit; }};
if ! flock -n 9; then
[ "$(sed -n 1p "$f")" != "$1" ] || kill "$(sed -n 2p "$f")" 2>/dev/null;
flock -w 10 9 || {{ say "taken $(base64 -w0 < "$f") $(date +%s)"; exit; }}; fi;
printf '%s\\n' "$1" $$ "$(date +%s)" "$2" > "$f" || {{ say "failed could not write $f"; exit; }};
say mine;
while [ -n "$(timeout {_SILENCE_S} head -c 1 9>&-)" ]; do :; done; : > "$f\""""


class NotTaken(HostFailure):
    """This host's lock could not be taken, or another run has it; the message is for the person."""


class _Run:
    """This run, and what it holds."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.taken = False  # whether it has tried to, on all nodes
        self.other = ""  # the run that holds a node of ours, and which; this one stops then
        self.held: dict[str, tuple[Channel, float]] = {}
        self.me = json.dumps(
            {
                "who": f"{getpass.getuser()} on {socket.gethostname()}, process {os.getpid()}",
                "command": _command(sys.argv),
                "began": f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %Z}",
            }
        )


_runs: WeakKeyDictionary[State, _Run] = WeakKeyDictionary()


def is_another(holder: RunLockState) -> bool:
    """Whether it is another run that holds a lock."""
    return holder.id not in ("", _ID)


def other(state: State) -> str:
    """Why this run has to stop, once it has found another one at work; else ""."""
    run = _runs.get(state)
    return run.other if run else ""


def hold(host: Host) -> None:
    """
    See that this run holds the lock of a host which it is about to change.

    The first call takes the locks of all hosts in the run. Costs nothing while they are held.

    Raises ``NotTaken``.
    """

    run = _runs.setdefault(host.state, _Run())
    with run.lock:
        if not run.taken and not run.other:
            _take_all(run, host)
        if not run.other and not _holds(run, host):
            _take(run, host)
        if run.other:
            raise NotTaken(run.other)


def _take_all(run: _Run, host: Host) -> None:
    """The first of them alone: of two runs at the same moment, one stops."""
    state = host.state
    all_hosts = [each for each in state.inventory if each in state.active_hosts]
    _try(run, all_hosts[0])
    gevent.joinall([gevent.spawn(_try, run, each) for each in all_hosts[1:] if not run.other])
    if run.other:
        for channel, _ in run.held.values():
            channel.close()
        run.held.clear()
    run.taken = True


def _try(run: _Run, host: Host) -> None:
    """A host that can't be asked fails when it is to be changed itself."""
    with suppress(NotTaken):
        _take(run, host)


def _take(run: _Run, host: Host) -> None:
    client = getattr(host.connector, "client", None)
    if client is None:
        return  # this computer itself
    words = [QuoteString(word) for word in (_ID, run.me)]
    command = StringCommand("sh", "-c", QuoteString(_HOLD), "sh", *words)
    unix = make_unix_command_for_host(host.state, host, command, _sudo=True)
    try:
        channel = client.get_transport().open_session(timeout=connection.PATIENCE_S)
        channel.settimeout(_ANSWER_S)
        channel.exec_command(login_shell.portable(unix.get_raw_value()))
        said = _answer(channel)
    except (OSError, EOFError, SSHException, AttributeError) as error:
        raise NotTaken(f"the connection was lost ({error or 'closed'})") from error
    if said == "mine":
        run.held[host.name] = channel, time.monotonic()
        gevent.spawn(_beat, run, host.name, channel)
        return
    channel.close()
    verdict, _, rest = said.partition(" ")
    if verdict == "taken":
        run.other = _stops(host, holder_of(*rest.split()), run.taken)
        raise NotTaken(run.other)
    raise NotTaken(f"this node could not be locked for this run: {rest or 'it does not say why'}")


def _answer(channel: Channel) -> str:
    """The line that is meant for us, whatever the login shell prints before it."""
    with channel.makefile("rb") as lines:
        for line in lines:
            text = login_shell.decoded(line).strip()
            if text.startswith(_SAYS):
                return text.removeprefix(_SAYS)
    return ""


def _stops(host: Host, holder: RunLockState, taken: bool) -> str:
    changed = "this run stops here" if taken else "nothing was changed"
    return (
        f"another run is at work on {host.name}: {holder}. So {changed}: wait until it has ended "
        f"(or {_SILENCE_S} s, if its computer is off), then run this again"
    )


def _beat(run: _Run, name: str, channel: Channel) -> None:
    while not channel.closed:
        try:
            channel.sendall(b".")
        except (OSError, EOFError, SSHException):
            return
        run.held[name] = channel, time.monotonic()
        gevent.sleep(_BEAT_S)


def _holds(run: _Run, host: Host) -> bool:
    if getattr(host.connector, "client", None) is None:
        return True
    channel, beat = run.held.get(host.name, (None, 0.0))
    return (
        channel is not None
        and not channel.closed
        and not channel.exit_status_ready()
        and channel.get_transport().is_active()
        and time.monotonic() - beat < _SILENCE_S - _BEAT_S
    )


def _again(host: Host) -> None:
    """The lock went with the old connection."""
    run = _runs.get(host.state)
    if run is not None and run.taken and not run.other:
        with run.lock:
            if not _holds(run, host):
                _try(run, host)


connection.on_reconnect.append(lambda host: gevent.spawn(_again, host))


def _command(words: list[str]) -> str:
    """What was typed, without values of options: a password may be among them."""
    shown = [
        word
        for before, word in pairwise(words)
        if word.endswith(".py") or "--limit" in (before, word)
    ]
    return " ".join(["pyinfra", *shown])
