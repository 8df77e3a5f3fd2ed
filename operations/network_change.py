"""
A change of the network under the very connection that asks for it.

The node makes the change by itself, under no session's control, and writes down how it ended; a new
connection, at the address that the node has by then, is the proof that it can be reached.
"""

from __future__ import annotations

import time

from paramiko import PKey
from pyinfra.api.host import Host

from operations import connection
from operations.remote_shell import RemoteFailure, run

FOLDER = "/run/bramble"
_TRY = 15  # seconds for the new address, before the old one is tried once more,
_NEAR = 3  # and seconds for that

# What ifup leaves behind (dhclient, wpa_supplicant) has to outlive the service: hence KillMode. It
# also keeps the unit's name from being used again: hence the random part.
_START = f"""set -e; umask 077; mkdir -p {FOLDER}; cd {FOLDER};
if systemctl is-active --quiet "bramble-$1-*"; then
echo "another change of $1 is still under way: run this again when it has ended" >&2; exit 1; fi;
cat > "$1.sh"; rm -f "$1.result"; unit="bramble-$1-$(cut -c-8 /proc/sys/kernel/random/uuid)";
echo "$unit" > "$1.unit"; systemd-run --quiet --collect --unit="$unit" \
--description="A change of $1" --property=KillMode=process --property=RuntimeMaxSec="$2" \
-- sh "{FOLDER}/$1.sh\""""

# Answers when it has ended, or after 5 s.
_LOOK = f"""cd {FOLDER} 2>/dev/null || :; unit=$(cat "$1.unit"); n=0;
while [ ! -s "$1.result" ] && [ $n -lt 20 ] && systemctl is-active --quiet "$unit";
do n=$((n+1)); sleep 0.25; done;
if [ -s "$1.result" ]; then cat "$1.result";
elif systemctl is-active --quiet "$unit"; then echo running; else echo gone; fi"""


def apply(
    host: Host, name: str, script: str, reach: str | None = None, seconds: float = 60
) -> str | None:
    """
    Have a node change its network, and follow it through the change.

    + name: of the change; one of a name at a time. Its output is in the node's journal, of the
      units ``bramble-NAME-*``
    + script: for ``sh``, run as root; writes ``ok``, or a line for the person, to
      ``/run/bramble/NAME.result``, and ends with that. It may not begin at once: see ``PREPARE``
    + reach: the address at which the node answers afterwards; None: the same as now
    + seconds: how long the change and the new connection may take
    + returns: None, or in one line why it did not work
    """

    former, key = connection.address(host), _key(host)
    try:
        run(host, _START, name, str(int(seconds) + 30), stdin=script)
    except RemoteFailure as error:
        return str(error)
    end = time.monotonic() + seconds
    result = "running"
    while result == "running":
        left = end - time.monotonic()
        why = connection.reconnect(host, reach, min(left, _TRY) if reach else left)
        if why is not None and reach is not None:
            result = _look_back(host, name, former)
            if result == "ok":
                return f"does not answer at {reach} after the change of {name}, but at {former}"
        elif why is None:
            if key is not None and _key(host) != key:
                at = reach or former
                return f"another machine answers at {at}: its host key is not this node's"
            result = _look(host, name)
        if result == "running" and time.monotonic() > end:
            if why is None:
                return f"the change of {name} is not done after {seconds:g} s: {_journal(name)}"
            at = reach or former
            return f"does not answer at {at} after the change of {name} ({why}): look at it there"
    if result == "ok":
        return None
    if result == "gone":
        return f"the change of {name} was cut off: see {_journal(name)}"
    return result


# A script begins with this: the session that starts it hears that it did before it is cut.
PREPARE = f"""result() {{ printf '%s\\n' "$2" > "{FOLDER}/$1.result.new";
mv -f "{FOLDER}/$1.result.new" "{FOLDER}/$1.result"; }}
sleep 0.5
"""


def _key(host: Host) -> PKey | None:
    """The host key of the machine at the other end; None for another connector than SSH."""
    client = getattr(host.connector, "client", None)
    transport = client.get_transport() if client else None
    return transport.get_remote_server_key() if transport and transport.is_active() else None


def _look(host: Host, name: str) -> str:
    """``running``, ``gone``, or what the script has written; ``running`` too while out of reach."""
    try:
        lines = run(host, _LOOK, name, seconds=15)
    except RemoteFailure:
        return "running"
    return lines[0] if lines else "gone"


def _look_back(host: Host, name: str, former: str) -> str:
    """The same, at the address where the node was before: it may have gone back there."""
    return "running" if connection.reconnect(host, former, _NEAR) else _look(host, name)


def _journal(name: str) -> str:
    return f"journalctl -u 'bramble-{name}-*'"
