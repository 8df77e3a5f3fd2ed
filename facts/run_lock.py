"""The lock that a run holds on a node while it changes it: see ``runs.lock``."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from facts.base import State, WholeFact, text_of

# In memory, so that a power cut ends it. Its lines: the ID of the run that holds it, the process on
# the node, the node's time then, and the rest as JSON.
PATH = "/run/bramble/run.lock"
# The ID of the run that holds the lock or has held it last.
LAST = f"{PATH}.last"

# The shared lock is tried for a moment; a run that takes the lock waits for seconds.
_SCRIPT = f"""f={PATH}; if [ -s $f ] && ! flock -s -w 2 $f true 2>/dev/null; then
base64 -w0 < $f; fi; echo; date +%s; echo "$(cat {LAST} 2>/dev/null)\""""


@dataclass(frozen=True)
class RunLockState(State):
    """
    + id: of the run that holds the lock; "" when none does
    + who: "USER on COMPUTER, process PID"
    + command: as it was typed
    + began: when, by the clock of its computer
    + seconds: since then
    + last: the ID of the run that holds the lock or has held it last; "": none since the boot
    """

    id: str = ""
    who: str = ""
    command: str = ""
    began: str = ""
    seconds: int = 0
    last: str = ""

    def __str__(self) -> str:
        ago = f"{self.seconds} s" if self.seconds < 120 else f"{self.seconds // 60} minutes"
        return f"`{self.command}` by {self.who}, since {self.began} ({ago} ago)"


class RunLock(WholeFact[RunLockState]):
    """The run that changes this node now: a ``RunLockState``."""

    script = (_SCRIPT,)

    def parse(self, holder: str, now: str, last: str) -> RunLockState:
        return replace(holder_of(holder, now) if holder else RunLockState(), last=last)


def holder_of(text: str, now: str) -> RunLockState:
    """
    Parse the lock's file.

    + text: its content, in base64
    + now: the node's time, in seconds
    """
    identity, _, then, rest = text_of(text).splitlines()
    known: dict[str, Any] = json.loads(rest)
    return RunLockState(
        identity, known["who"], known["command"], known["began"], max(int(now) - int(then), 0)
    )
