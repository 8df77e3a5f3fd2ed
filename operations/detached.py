"""
A long command on a node that outlives the connection that started it.

kubeadm works for minutes on an SD card. Were it tied to the SSH session, a lost connection would
kill it half-way and leave half a control plane. So it runs as a transient systemd service; its
output goes to a file that only root can read, in /run, and is fetched from there as it comes.
"""

from __future__ import annotations

import shlex
import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyinfra.api.host import Host

from facts.base import LOCALE
from operations import connection
from operations.remote_shell import RemoteFailure, Unreachable, run

FOLDER = "/run/bramble"
_PATIENCE = 30  # seconds that a node may be out of reach in the middle

_START = f"""set -e; umask 077; mkdir -p {FOLDER}; cd {FOLDER};
rm -f "$1.log" "$1.status"; : > "$1.log"; cat > "$1.sh";
systemctl reset-failed "$1.service" 2>/dev/null || :;
systemd-run --quiet --unit="$1" --description="$2" --collect \
--property=StandardOutput="append:{FOLDER}/$1.log" \
--property=StandardError="append:{FOLDER}/$1.log" -- sh "{FOLDER}/$1.sh\""""

# Answers as soon as there is something new, or after 5 s.
_LOOK = f"""cd {FOLDER} 2>/dev/null || {{ echo gone; echo; exit 0; }}; n=0; state=running;
while :; do
systemctl is-active --quiet "$1.service" || state=gone;
[ ! -s "$1.status" ] || state=$(cat "$1.status");
size=$(stat -c %s "$1.log" 2>/dev/null || echo 0);
if [ "$state" != running ] || [ "$size" -gt "$2" ] || [ $n -ge 10 ]; then break; fi;
n=$((n+1)); sleep 0.5;
done;
echo "$state"; tail -c +$(($2+1)) "$1.log" 2>/dev/null | base64 -w0; echo"""

_STOP = 'systemctl stop "$1.service"'


@dataclass(frozen=True)
class Outcome:
    """How it ended: the exit status (None: it was cut off) and all that it printed."""

    status: int | None
    lines: list[str]


def start(
    host: Host, unit: str, description: str, command: Sequence[str], remove: Sequence[str] = ()
) -> None:
    """
    Start a command on a node, under no session's control.

    + unit: the name of its transient service
    + description: what ``systemctl status`` says of it
    + command: its words; they can be seen in /proc, so no secret is among them
    + remove: files to delete when it has ended, however it ended
    """

    status = shlex.quote(f"{FOLDER}/{unit}.status")
    cleanup = f"rm -f -- {shlex.join(remove)}" if remove else ":"
    script = (
        f"export HOME=/root {LOCALE}\n"
        f"trap {shlex.quote(f'{cleanup}; exit 143')} TERM\n"
        f"{shlex.join(command)}\n"
        "status=$?\n"
        f"{cleanup}\n"
        f'echo "$status" > {status}.new\n'
        f"mv {status}.new {status}\n"
    )
    run(host, _START, unit, description, stdin=script)


def follow(
    host: Host,
    unit: str,
    show: Callable[[str], None],
    minutes: float,
    in_vain: Callable[[], str | None] = lambda: None,
) -> Outcome:
    """
    Stay with a command until it ends, also over a lost connection.

    + show: gets each line as it comes
    + minutes: after which to leave it alone; it goes on
    + in_vain: asked every few seconds why the command can't succeed; it is stopped then. None: it
      may

    Raises ``RemoteFailure`` when the node stays away, the time is up, or it is in vain.
    """

    end = time.monotonic() + minutes * 60
    text = b""
    shown = 0
    while True:
        state, new = _look(host, unit, len(text))
        text += new
        lines = text.decode("utf-8", "replace").split("\n")
        whole = len(lines) - 1 if state == "running" else len(lines)
        for line in lines[shown:whole]:
            show(line)
        shown = whole
        if state != "running":
            return Outcome(None if state == "gone" else int(state), lines)
        try:
            why = in_vain()
        except RemoteFailure:
            why = None  # not known; the next look opens the connection again
        if why is not None:
            run(host, _STOP, unit)
            raise RemoteFailure(why)
        if time.monotonic() > end:
            raise RemoteFailure(
                f"{unit} is still at work after {minutes:g} minutes and goes on by itself: "
                "run this again to see how it ends"
            )


def _look(host: Host, unit: str, seen: int) -> tuple[str, bytes]:
    """Its state (running, gone or an exit status) and what is new of its output."""
    try:
        lines = run(host, _LOOK, unit, str(seen), seconds=30)
    except Unreachable:
        why = connection.reconnect(host, seconds=_PATIENCE)
        if why is not None:
            raise RemoteFailure(
                f"lost the connection while {unit} is at work; it goes on by itself: "
                f"run this again to see how it ends ({why})"
            ) from None
        lines = run(host, _LOOK, unit, str(seen), seconds=30)
    return lines[0], b64decode(lines[1] if len(lines) > 1 else "")
