"""
A long command on a node that outlives the connection that started it.

kubeadm works for minutes on an SD card. Tied to the SSH session, a lost connection would kill it
half-way and leave half a control plane. So it runs as a transient systemd service; its output goes
to a file in /run that only root can read, and is fetched from there as it grows.
"""

from __future__ import annotations

import shlex
import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facts.base import LOCALE
from messages import run as messages
from remote.failures import GoesOn, RemoteFailure, Unreachable

if TYPE_CHECKING:
    from remote import Node

FOLDER = "/run/bramble"
_AWAY_S = 30  # for the node to answer again

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

_ACTIVE = 'systemctl is-active "$1.service" || :'
_STOP = 'systemctl stop "$1.service"'


@dataclass(frozen=True)
class Outcome:
    """The exit status (None: killed, or the node was rebooted) and all lines of the output."""

    status: int | None
    lines: list[str]


class Job:
    """
    A command in a transient service of its own.

    + node: where it runs
    + unit: the name of the service
    """

    def __init__(self, node: Node, unit: str) -> None:
        self._node = node
        self.unit = unit

    def start(self, description: str, command: Sequence[str], remove: Sequence[str] = ()) -> None:
        """
        Start the command in its service.

        + description: what ``systemctl status`` shows
        + command: its words; they can be seen in /proc, so no secret is among them
        + remove: files to delete when it has ended, however it ended
        """
        status = shlex.quote(f"{FOLDER}/{self.unit}.status")
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
        self._node.run(_START, self.unit, description, stdin=script)

    def await_earlier(self, show: Callable[[str], None], minutes: float) -> None:
        """
        Wait for the command that an interrupted run has left running, if there is one.

        + show, minutes: as for ``follow``
        """
        if self.is_running():
            self.follow(show, minutes)

    def is_running(self) -> bool:
        """Whether the command runs now, whoever has started it."""
        return self._node.run(_ACTIVE, self.unit) == ["active"]

    def follow(
        self,
        show: Callable[[str], None],
        minutes: float,
        permanent_failure: Callable[[], str | None] = lambda: None,
    ) -> Outcome:
        """
        Follow the command until it ends; a lost connection is opened again.

        + show: called with each line as it comes
        + minutes: after which it is no longer followed; the command continues
        + permanent_failure: called every few seconds; if it returns a reason why the command can't
          succeed, the command is stopped
        + raises ``GoesOn``: the node does not answer, or the time is up; ``RemoteFailure``: that
          reason
        """
        end = time.monotonic() + minutes * 60
        text = b""
        shown = 0
        while True:
            state, new = self._look(len(text))
            text += new
            lines = text.decode("utf-8", "replace").split("\n")
            whole = len(lines) - 1 if state == "running" else len(lines)
            for line in lines[shown:whole]:
                show(line)
            shown = whole
            if state != "running":
                return Outcome(None if state == "gone" else int(state), lines)
            try:
                reason = permanent_failure()
            except RemoteFailure:
                reason = None  # unknown; the next look opens the connection again
            if reason is not None:
                self._node.run(_STOP, self.unit)
                raise RemoteFailure(reason)
            if time.monotonic() > end:
                raise GoesOn(messages.STILL_RUNS(unit=self.unit, minutes=f"{minutes:g}"))

    def _look(self, seen: int) -> tuple[str, bytes]:
        """Return state (running, gone or an exit status), and output after ``seen`` bytes."""
        try:
            lines = self._node.run(_LOOK, self.unit, str(seen), seconds=30)
        except Unreachable:
            reason = self._node.reconnect(seconds=_AWAY_S)
            if reason is not None:
                lost = messages.LOST_DURING_JOB(unit=self.unit, reason=reason)
                raise GoesOn(lost) from None
            lines = self._node.run(_LOOK, self.unit, str(seen), seconds=30)
        return lines[0], b64decode(lines[1] if len(lines) > 1 else "")
