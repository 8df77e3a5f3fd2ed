"""
One guarded change on a node: send it, follow it, confirm it.

The node applies it outside of any SSH session (``guard.sh``). A new connection to the address that
the node should have by then proves that it can be reached.
"""

from __future__ import annotations

import time
from base64 import encodebytes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from secrets import token_hex

import gevent
from paramiko import PKey
from pyinfra.api.host import Host

import remote
from messages import Message, Said, network
from operations.guard.step import Step
from remote import pyinfra_internals
from remote.failures import RemoteFailure, Unreachable
from runs.output import failed

_HERE = Path(__file__).parent
# What guard.sh and ifup.py say by a code.
_OF_THE_NODE = {
    message.code: message
    for message in (
        network.CHANGE_PENDING,
        network.CHANGE_BY_ANOTHER_RUN,
        network.CHANGE_WITHOUT_SPACE,
        network.GATEWAY_SILENT,
        network.ROUTE_MISSING,
        network.DEFAULT_ROUTE_LOST,
        network.NAMES_UNRESOLVED,
        network.ADDRESS_TAKEN,
        network.RESTARTED_UNCONFIRMED,
        network.NO_LEASE,
        network.DEFAULT_ROUTE_TAKEN,
    )
}
# A rollback's message, without `change` and `seconds`.
Reason = partial[Said]
_OTHER_KEY = "another machine answers there: its host key is not this node's"
_PAUSE_S = 1  # between two attempts to connect
_PENALTY_S = 6  # after a failed login: sshd blocks clients that retry faster (PerSourcePenalties)
_BEGIN_S = 10  # for saving the state, and for hearing how the change ends
_ROLLBACK_S = 90  # for a rollback, with a reboot

# Prints the state of the change ($1) once it has ended in one way or the other, or after 4 s.
_STATE = """k=/var/lib/bramble/guard; r=/run/bramble/guard; n=0; id=$1;
has() { [ "$(cat "$1/id" 2>/dev/null)" = "$id" ]; };
while :; do
if [ "$(cat $r.confirmed 2>/dev/null)" = "$id" ]; then state=confirmed;
elif has $k/restoring; then state=restoring;
elif has $k/new && ! flock -n $r.lock true; then state=running;
elif has $k/previous || has $k/access; then state=confirmed;
elif ! has $k/pending; then state=restored;
elif [ -s $r/reason ]; then state=restoring;
elif [ -s $r/result ]; then state=applied;
else state=running; fi;
case $state in running|restoring) n=$((n+1)); [ $n -gt 16 ] || { sleep 0.25; continue; };; esac;
break;
done; echo "$state"; ! has $r || cat $r/reason 2>/dev/null || :"""

# The change comes by standard input and goes to memory, since it may hold secrets. Most changes
# do not cut the connection, so their result is printed right away.
_START = f"""umask 077; mkdir -p /run/bramble && t=$(mktemp -d /run/bramble/new.XXXXXX) || exit;
trap 'rm -rf -- "$t"' EXIT; trap 'exit 1' HUP INT TERM PIPE;
cat > "$t/all"; [ "$(tail -n 1 "$t/all")" = "# whole" ] || exit;
put() {{ base64 -d > "$t/$1" || exit 1; }};
. "$t/all" && rm "$t/all" && sh "$t/guard.sh" begin "$2" "$t" "$3" || exit;
rm -rf -- "$t"; [ "$4" = moves ] || {{ {_STATE}; }}"""

_CONFIRM = "sh /run/bramble/guard/guard.sh confirm"


@dataclass(frozen=True)
class _Change:
    """
    + id: also stored on the node
    + what: what changes, for messages
    + address, new_address: of the node before and after the change; None: unchanged
    + key: the node's host key
    + by_key: whether the new connection must be opened with the operator's key
    + seconds: until the node rolls back
    + started: of ``time.monotonic``
    """

    id: str
    what: str
    address: str
    new_address: str | None
    key: PKey | None
    by_key: bool
    seconds: float
    started: float

    @property
    def stays(self) -> bool:
        return self.new_address in (None, self.address)

    @property
    def target(self) -> str:
        return self.new_address or self.address


def apply(host: Host, steps: Sequence[Step], seconds: float) -> bool:
    """
    Apply a change on a node and confirm it; log a failure in one line.

    + steps: in order; those that take interfaces down and up run last
    + seconds: after which the node rolls back
    + returns: whether the change was confirmed
    """
    change = _Change(
        id=token_hex(4),
        what=_listed([step.what for step in steps]),
        address=remote.of(host).address,
        new_address=next((step.new_address for step in steps if step.new_address), None),
        key=remote.of(host).host_key,
        by_key=not all(step.network for step in steps),
        seconds=seconds,
        started=time.monotonic(),
    )
    expected = "previous" if any(step.is_undo for step in steps) else "new"
    words = (change.id, f"{seconds:g}", expected, "stays" if change.stays else "moves")
    state = []
    try:
        state = remote.of(host).run(_START, *words, stdin=_folder(steps, change), seconds=_BEGIN_S)
    except Unreachable:
        pass  # the change may have begun: _confirm finds out
    except RemoteFailure as error:
        known, values = _parsed(str(error))
        problem = known(**values) if known else None
        more = {"change": change.what, "reason": error}
        return failed(host, problem or network.CHANGE_NOT_STARTED(**more))
    reason = _confirm(host, change, applied=state[:1] == ["applied"])
    problem = _follow_rollback(host, change, reason) if reason is not None else None
    if problem is not None:
        return failed(host, problem)
    host.log(f"{change.what}: confirmed after {time.monotonic() - change.started:.1f} s")
    return True


def _confirm(host: Host, change: _Change, applied: bool) -> Reason | None:
    """
    Confirm the change over a new connection.

    + applied: whether the node has said that it is applied
    + returns: why it could not be confirmed; None: it is
    """
    end = change.started + change.seconds
    reason = partial(network.ADDRESS_SILENT, address=change.target, why="no time was left")
    while time.monotonic() < end:
        why = _connect(host, change, change.target)
        if why is not None:
            reason = partial(network.ADDRESS_SILENT, address=change.target, why=why)
            if why == _OTHER_KEY:
                about = {"address": change.target, "machine": "with another host key"}
                reason = partial(network.ADDRESS_TAKEN, **about)
            # The new address may not be set yet, or the node may have rolled back already.
            if change.stays or _connect(host, change, change.address):
                continue
        if why is not None or not applied:
            state, said = _state(host, change)
            if state in ("restoring", "restored"):
                return _reason(said) if said else reason
            if state == "confirmed":
                return None
            if state == "running":
                reason = partial(network.CHANGE_TOO_SLOW)
            # Only a connection opened after the change proves that the node can be reached.
            applied = state == "applied"
            continue
        if change.by_key and remote.of(host).opened_by_password:
            return partial(network.KEY_NOT_ACCEPTED)
        try:
            answer = remote.of(host).run(_CONFIRM, seconds=30)
        except RemoteFailure:
            applied = False  # the node may have been restarted: ask again
            continue
        if answer[-1:] == ["confirmed"]:
            return None
        # A connection that opened only after the rollback comes too late: keep the real reason.
        return _reason(answer[-1]) if answer and answer[-1] != "late" else reason
    return reason


def _follow_rollback(host: Host, change: _Change, reason: Reason) -> Said | None:
    """
    Wait until the node has rolled back.

    + returns: the message for the person; None: the change was confirmed after all
    """
    end = change.started + change.seconds + _ROLLBACK_S
    while time.monotonic() < end:
        if _connect(host, change, change.address) is None:
            state, said = _state(host, change)
            if state == "confirmed":
                return None  # only the answer was lost
            if state == "restored":
                after = f"{time.monotonic() - change.started:.0f}"
                return (_reason(said) if said else reason)(change=change.what, seconds=after)
    return network.ROLLBACK_NOT_SEEN(change=change.what, address=change.address)


def _parsed(line: str) -> tuple[Message | None, dict[str, str]]:
    """Return the message of a line of guard.sh's, ``CODE|name=value…``, and its values."""
    code, *pairs = line.split("|")
    message = _OF_THE_NODE.get(code)
    return message, dict(pair.split("=", 1) for pair in pairs) if message else {}


def _reason(line: str) -> Reason:
    message, values = _parsed(line)
    return partial(message, **values) if message else partial(network.ROLLED_BACK, reason=line)


def _connect(host: Host, change: _Change, address: str) -> str | None:
    """Open a new connection to this very node; return why there is none, after a pause."""
    why = remote.of(host).reconnect(address, seconds=0)
    if why is None and change.key is not None and remote.of(host).host_key != change.key:
        why = _OTHER_KEY
    if why is not None:
        gevent.sleep(_PENALTY_S if "Authentication" in why else _PAUSE_S)
    return why


def _state(host: Host, change: _Change) -> tuple[str, str]:
    """
    Ask the node for the state of the change.

    + returns: ``running`` (also while it cannot be asked), ``applied``, ``restoring``,
      ``restored`` or ``confirmed``; and the node's reason for a rollback
    """
    try:
        lines = remote.of(host).run(_STATE, change.id, seconds=15)
    except RemoteFailure:
        return "running", ""
    return (lines[0], lines[1] if len(lines) > 1 else "") if lines else ("running", "")


def _folder(steps: Sequence[Step], change: _Change) -> str:
    """Render the change as a script that creates its folder on the node: see guard.sh."""
    first = [step for step in steps if not step.interface]
    last = [step for step in steps if step.interface]
    interfaces = {name: None for step in steps for name in step.interface.split()}
    files = {
        "guard.sh": (_HERE / "guard.sh").read_text(),
        "state.sh": (_HERE / "state.sh").read_text(),
        "apply.sh": "".join(map(_line, [*first, *last])),
        "id": f"{change.id}\n",
        "what": f"{change.what}\n",
        "address": f"{change.address}\n",
        "paths": _lines(path for step in steps for path in step.paths),
        "interfaces": _lines(interfaces),
        "prefixes": _lines(word for step in steps for word in step.prefix.split()),
        "reload": _lines(step.reload for step in steps),
        "default-routes": "".join(
            f"{step.interface} {step.gateway}\n" for step in last if step.gateway is not None
        ),
        "entries": "".join(step.entries for step in steps),
        "network": "yes\n" if any(step.network for step in steps) else "",
    }
    puts = (f"put {name} <<.\n{_base64(text)}.\n" for name, text in files.items())
    return f"{''.join(puts)}# whole\n"


def _line(step: Step) -> str:
    command = step.get_raw_value()
    stdin = pyinfra_internals.arguments(step).get("_stdin")
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
