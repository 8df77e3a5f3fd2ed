"""
The record of what bramble manages on each node: read once per run, written before a change.

``operations.base`` calls ``write_ahead`` before a command that changes something, so that nothing
is left behind that the record does not have, not even after a power cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pyinfra.api.host import Host

import remote
import runs
from facts.node_record import DIGEST, FOLDER, KEPT, PATH, Record, RecordState
from formats.node_record import NodeRecord
from messages import nodes as messages
from remote.failures import HostFailure, RemoteFailure, Unreachable
from runs import gathering, lock
from runs.record import CHANGED, Work

_STALE = "stale"

# $1: digest of the record that the new one (standard input) is made from; then the paths to keep,
# "--", and those of which nothing is kept any more. What is bramble's own is not worth keeping.
_WRITE = f"""umask 077; f={PATH}; k={KEPT}; mkdir -p {FOLDER} $k && chmod 700 {FOLDER} || exit;
[ "$({DIGEST})" = "$1" ] || {{ cat > /dev/null; echo {_STALE}; exit; }}; shift;
while [ "$1" != -- ]; do
rm -rf -- "$k$1"; case $1 in *bramble*) ;; *) if [ -L "$1" ] || [ -f "$1" ]; then
mkdir -p -- "$(dirname -- "$k$1")" && cp -a -- "$1" "$k$1" && sync -- "$k" || exit; fi;; esac;
shift; done; shift;
t=$(mktemp -- "$f.XXXXXX") && trap 'rm -f -- "$t"' EXIT && cat > "$t" && sync -- "$t" &&
mv -fT -- "$t" "$f" && sync -- {FOLDER} || exit;
for p in "$@"; do rm -rf -- "$k$p"; done; {DIGEST}"""


class ChangedSince(Exception):
    """
    Raised by what removes a resource: it was changed since bramble made it, and is left.

    + argument: the command with which a person removes it, run as root
    """


class _Records(dict[str, RecordState]):
    """What this run knows of each node's record, by the node's name."""


def of(host: Host) -> NodeRecord:
    """Return a node's record; it is read if it was not yet."""
    return _state(host).record


def was_changed(host: Host, resource: str, content: str) -> bool:
    """Whether a recorded resource has another content than bramble gave it: it is left then."""
    entry = of(host).entries.get(resource)
    return entry is not None and not entry.holds(content)


def damage(host: Host) -> str:
    """Return why a node's record could not be understood; "" if it could."""
    return _state(host).damage


def put(host: Host, observed: RecordState) -> None:
    """Note a record that was read together with other facts."""
    runs.of(host.state).part(_Records).setdefault(host.name, observed)


def write_ahead(host: Host, work: Work) -> None:
    """
    Record what an operation is about to make or to change on a node, and keep what it replaces.

    Costs nothing if all of that is recorded.

    + raises ``HostFailure``: the record cannot be written
    """
    if not work.recorded or CHANGED not in work.resources.values():
        return

    def change(record: NodeRecord) -> NodeRecord:
        for name, entry in work.recorded.items():
            changed = name in work.together or work.resources[name] == CHANGED
            if changed or name in record.entries:
                record = record.put(name, entry)
        return record

    write(host, change)


def write(host: Host, change: Callable[[NodeRecord], NodeRecord]) -> None:
    """
    Change a node's record, unless that makes no difference.

    + change: returns the new record of the present one; called again if another run changed it
      since it was read
    + raises ``HostFailure``: it cannot be written
    """
    while remote.of(host).is_ssh:
        state = _state(host)
        new = change(state.record)
        if state.record.newer or new == state.record:
            return
        lock.of(host.state).hold(host)
        paths = [*_kept(new, state.record), "--", *_kept(state.record, new)]
        try:
            said = remote.of(host).run(_WRITE, state.digest, *paths, stdin=new.render())
        except Unreachable:
            raise
        except RemoteFailure as error:
            raise HostFailure(messages.RECORD_NOT_WRITTEN(path=PATH, reason=error)) from None
        if said == [_STALE]:
            _records(host)[host.name] = remote.of(host).gather(Record())
            continue
        _records(host)[host.name] = RecordState(new, digest=said[-1])
        return


def _kept(record: NodeRecord, other: NodeRecord) -> Iterable[str]:
    """The paths that are kept for resources that another record does not have."""
    for name, entry in record.entries.items():
        if name not in other.entries:
            yield from entry.keeps


def _records(host: Host) -> _Records:
    return runs.of(host.state).part(_Records)


def _state(host: Host) -> RecordState:
    records = _records(host)
    if host.name not in records:
        if not remote.of(host).is_ssh:
            return RecordState()  # this computer itself
        known = gathering.of(host.state).known(host, Record, {})
        records[host.name] = known or remote.of(host).gather(Record())
    return records[host.name]
