"""The clock: its difference from this computer's, and what synchronizes it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from pyinfra.api import StringCommand

from facts.base import State, WholeFact, ask, number, one_of, words_of

# Units of Debian that synchronize the clock. One whose conditions are not met, such as in a
# container, does not count as stopped.
_SERVICES = ("systemd-timesyncd", "chrony", "ntpsec", "ntp", "openntpd")
_SCRIPT = f"""date -u '+%s%n%Y-%m-%d %H:%M:%S';
timedatectl show -P NTPSynchronized 2>/dev/null || echo unknown;
systemctl show -p Id,UnitFileState,ActiveState,ConditionResult,ConditionTimestampMonotonic \
{" ".join(f"{service}.service" for service in _SERVICES)} 2>/dev/null | awk -F= '{{is[$1]=$2}}
function out() {{sub(/\\.service$/, "", is["Id"]);
if (is["UnitFileState"] == "enabled" && !seen[is["Id"]]++) {{
on=on is["Id"] " "; if (is["ActiveState"] ~ /^(inactive|failed)$/ &&
!(is["ConditionResult"] == "no" && is["ConditionTimestampMonotonic"] != 0)) x=x is["Id"] " "}}
split("", is)}} /^$/ {{out()}} END {{out(); print on; print x}}';
[ -e /usr/lib/systemd/system/systemd-timesyncd.service ] && echo timesyncd || echo -"""


@dataclass(frozen=True)
class ClockState(State):
    """
    A node's clock.

    + ahead: seconds that it is ahead of this computer's clock (negative: behind), at least: it was
      read at some time between the question and the answer
    + shows: its time in UTC
    + synchronized: whether the kernel says so; None: not known
    + services: enabled services that synchronize it
    + stopped: those of them that could run and do not
    + timesyncd: whether systemd-timesyncd is installed
    """

    ahead: int
    shows: str
    synchronized: bool | None
    services: list[str]
    stopped: list[str]
    timesyncd: bool


class Clock(WholeFact[ClockState]):
    """Compare a node's clock with this computer's."""

    def command(self) -> StringCommand:
        self.asked = time.time()
        return ask(_SCRIPT)

    def parse(
        self,
        seconds: str,
        shows: str,
        synchronized: str,
        services: str,
        stopped: str,
        timesyncd: str,
    ) -> ClockState:
        return ClockState(
            ahead=_outside(number(seconds), self.asked, time.time()),
            shows=shows,
            synchronized={"yes": True, "no": False, "unknown": None}[synchronized],
            services=words_of(services, _SERVICES),
            stopped=words_of(stopped, _SERVICES),
            timesyncd=one_of(timesyncd, "timesyncd", "-") == "timesyncd",
        )


def _outside(shown: int, asked: float, answered: float) -> int:
    """
    Return how many seconds the time is outside of the interval in which it was read.

    + shown: whole seconds, rounded down
    + asked, answered: this computer's time before and after, in seconds
    """
    return max(shown - math.floor(answered), 0) + min(shown - math.floor(asked), 0)
