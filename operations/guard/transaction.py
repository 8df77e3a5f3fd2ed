"""
A change under the very connection that asks for it: sent, followed, and confirmed.

The node makes it under no session's control (``guard.sh``). A new connection, at the address that
the node should have by then, is the proof that it can be reached.
"""

from __future__ import annotations

import time
from base64 import encodebytes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import gevent
from paramiko import PKey
from pyinfra import logger
from pyinfra.api.host import Host

from operations import connection
from operations.guard.step import Step
from operations.remote_shell import RemoteFailure, Unreachable, run

_HERE = Path(__file__).parent
_PAUSE = 1  # seconds between two attempts to connect
_PENALTY = 6  # and after one that sshd has refused: it shuts out who tries more often
_ARM = 10  # seconds for what comes before the change, and for hearing how it ends
_BACK = 90  # seconds that a node has for going back, a reboot included

# Answers when the change ($1) has come to an end, one way or the other, or after some seconds.
_LOOK = """k=/var/lib/bramble/guard; r=/run/bramble/guard; n=0; id=$1;
has() { [ "$(cat "$1/id" 2>/dev/null)" = "$id" ]; };
while :; do
if [ "$(cat $r.confirmed 2>/dev/null)" = "$id" ]; then state=confirmed;
elif has $k/restoring; then state=going;
elif has $k/new && ! flock -n $r.lock true; then state=running;
elif ! has $k/armed; then state=back;
elif [ -s $r/why ]; then state=going;
elif [ -s $r/result ]; then state=made;
else state=running; fi;
case $state in running|going) n=$((n+1)); [ $n -gt 16 ] || { sleep 0.25; continue; };; esac; break;
done; echo "$state"; ! has $r || cat $r/why 2>/dev/null || :"""

# Everything goes by standard input, into a folder in memory. Most changes don't cut what stands:
# then their end is heard at once.
_START = f"""umask 077; mkdir -p /run/bramble && t=$(mktemp -d /run/bramble/new.XXXXXX) || exit;
trap 'rm -rf -- "$t"' EXIT; trap 'exit 1' HUP INT TERM PIPE;
cat > "$t/all"; [ "$(tail -n 1 "$t/all")" = "# whole" ] || exit;
put() {{ base64 -d > "$t/$1" || exit 1; }};
. "$t/all" && rm "$t/all" && sh "$t/guard.sh" arm "$2" "$t" "$3" || exit;
rm -rf -- "$t"; [ "$4" = moves ] || {{ {_LOOK}; }}"""

_CONFIRM = "sh /run/bramble/guard/guard.sh confirm"


@dataclass(frozen=True)
class _Change:
    """
    + id: known to the node too
    + former, reach: where the node answers before it and after it
    + key: the node's host key
    + by_key: whether it is the operator's key that has to open the new connection
    """

    id: str
    what: str
    former: str
    reach: str | None
    key: PKey | None
    by_key: bool
    seconds: float
    started: float

    @property
    def stays(self) -> bool:
        return self.reach in (None, self.former)

    @property
    def now(self) -> str:
        return self.reach or self.former


def make(host: Host, steps: Sequence[Step], seconds: float) -> bool:
    """
    Have a node make a change, and confirm it; a failure is logged in one line.

    + steps: in their order; those that take interfaces down and up are done last
    + seconds: after which the node goes back by itself
    """

    change = _Change(
        id=token_hex(4),
        what=_listed([step.what for step in steps]),
        former=connection.address(host),
        reach=next((step.reach for step in steps if step.reach), None),
        key=_key(host),
        by_key=not all(step.network for step in steps),
        seconds=seconds,
        started=time.monotonic(),
    )
    expected = "previous" if any(step.undoes for step in steps) else "new"
    words = (change.id, f"{seconds:g}", expected, "stays" if change.stays else "moves")
    state = []
    try:
        state = run(host, _START, *words, stdin=_folder(steps, change), seconds=_ARM)
    except Unreachable:
        pass  # it may have begun: it is looked at
    except RemoteFailure as error:
        return _failed(host, f"{change.what}: {error}")
    reason = _confirm(host, change, made=state[:1] == ["made"])
    if reason is not None:
        reason = _follow_back(host, change, reason)
    if reason is not None:
        return _failed(host, reason)
    host.log(f"{change.what}: confirmed after {time.monotonic() - change.started:.1f} s")
    return True


def _confirm(host: Host, change: _Change, made: bool) -> str | None:
    """None when the change is confirmed, or why it was not; ``made``: it has come to its end."""
    end = change.started + change.seconds
    reason = f"{change.now} did not answer in time"
    while time.monotonic() < end:
        why = _connect(host, change, change.now)
        if why is not None:
            reason = f"{change.now} did not answer ({why})"
            # It may not have got as far as its new address, or have gone back already.
            if change.stays or _connect(host, change, change.former):
                continue
        if why is not None or not made:
            state, said = _look(host, change)
            if state in ("going", "back"):
                return said or reason
            if state == "confirmed":
                return None
            if state == "running":
                reason = "it was not done in time"
            # Only a connection that is opened after the change is a proof.
            made = state == "made"
            continue
        if change.by_key and not _opened_by_key(host):
            return "the key does not open it: it was a password"
        try:
            answer = run(host, _CONFIRM, seconds=30)
        except RemoteFailure:
            made = False  # it is to be looked at again: it may have been restarted
            continue
        if answer[-1:] == ["confirmed"]:
            return None
        # Too late for a connection that was waited for until the node had gone back.
        return answer[-1] if answer and "too late" not in answer[-1] else reason
    return reason


def _follow_back(host: Host, change: _Change, reason: str) -> str | None:
    """Stay with the node until it is as before, and say in one line what there is to say."""
    end = change.started + change.seconds + _BACK
    while time.monotonic() < end:
        if _connect(host, change, change.former) is None:
            state, said = _look(host, change)
            if state == "confirmed":
                return None  # and only the answer got lost
            if state == "back":
                after = time.monotonic() - change.started
                reason = said or reason
                return (
                    f"went back by itself after {after:.0f} s: {reason} (change of {change.what})"
                )
    return (
        f"is not back at {change.former} after the change of {change.what} ({reason}): look at it "
        "there; switched off and on, it goes back to what was before"
    )


def _connect(host: Host, change: _Change, address: str) -> str | None:
    """A new connection to this very node; None, or why there is none, after a pause."""
    why = connection.reconnect(host, address, seconds=0)
    if why is None and change.key is not None and _key(host) != change.key:
        why = "another machine answers there: its host key is not this node's"
    if why is not None:
        gevent.sleep(_PENALTY if "Authentication" in why else _PAUSE)
    return why


def _look(host: Host, change: _Change) -> tuple[str, str]:
    """``running``, ``made``, ``going``, ``back`` or ``confirmed``, and the node's reason;
    ``running`` too while it can't be asked."""
    try:
        lines = run(host, _LOOK, change.id, seconds=15)
    except RemoteFailure:
        return "running", ""
    return (lines[0], lines[1] if len(lines) > 1 else "") if lines else ("running", "")


def _folder(steps: Sequence[Step], change: _Change) -> str:
    """The change as a script that makes its folder on the node: see guard.sh."""
    first = [step for step in steps if not step.interface]
    last = [step for step in steps if step.interface]
    interfaces = {name: None for step in steps for name in step.interface.split()}
    files = {
        "guard.sh": (_HERE / "guard.sh").read_text(),
        "state.sh": (_HERE / "state.sh").read_text(),
        "apply.sh": "".join(map(_line, [*first, *last])),
        "id": f"{change.id}\n",
        "what": f"{change.what}\n",
        "former": f"{change.former}\n",
        "paths": _lines(path for step in steps for path in step.paths),
        "interfaces": _lines(interfaces),
        "prefixes": _lines(word for step in steps for word in step.prefix.split()),
        "live": _lines(step.live for step in steps),
        "wanted": "".join(
            f"{step.interface} {step.gateway}\n" for step in last if step.gateway is not None
        ),
        "network": "yes\n" if any(step.network for step in steps) else "",
    }
    puts = (f"put {name} <<.\n{_base64(text)}.\n" for name, text in files.items())
    return f"{''.join(puts)}# whole\n"


def _line(step: Step) -> str:
    command = step.get_raw_value()
    stdin = step.connector_arguments.get("_stdin")
    if stdin is None:
        return f"{command} < /dev/null || exit\n"
    return f"base64 -d <<. | {command} || exit\n{_base64(str(stdin))}.\n"


def _base64(text: str) -> str:
    return encodebytes(text.encode("utf-8", "surrogateescape")).decode()


def _lines(words: object) -> str:
    return "".join(f"{word}\n" for word in dict.fromkeys(words) if word)  # type: ignore[call-overload]


def _listed(words: Sequence[str]) -> str:
    """``eth0, wlan0 and resolv.conf``"""
    *most, last = dict.fromkeys(words)
    return f"{', '.join(most)} and {last}" if most else last


def _key(host: Host) -> PKey | None:
    """The host key of the machine at the other end; None for another connector than SSH."""
    client = getattr(host.connector, "client", None)
    transport = client.get_transport() if client else None
    return transport.get_remote_server_key() if transport and transport.is_active() else None


def _opened_by_key(host: Host) -> bool:
    client = getattr(host.connector, "client", None)
    transport = client.get_transport() if client else None
    handler = getattr(transport, "auth_handler", None)
    return handler is None or handler.auth_method == "publickey"


def _failed(host: Host, message: str) -> bool:
    host.log_styled(message, fg="red", log_func=logger.error)
    return False
