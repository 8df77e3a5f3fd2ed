"""
The guard of the network: what it has kept of the time before the last confirmed change.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pyinfra.api import StringCommand
from typing_extensions import override

from facts.base import CutShort, OddLine, State, WholeFact, ask, text_of

FOLDER = "/var/lib/bramble/guard/previous"

# A path a line, as it is and as it was: "-" when it is not there, "*" and a digest for a file that
# not everybody may read, where a link leads, else "=" and the content in base64.
_SCRIPT = """echo "$(cd /var/lib/bramble/guard 2>/dev/null &&
cat armed/what restoring/what 2>/dev/null)";
show() { if [ -L "$1" ]; then echo "link to $(readlink "$1")";
elif [ -f "$1" ]; then case $(stat -c %a "$1") in *[4567]) echo "=$(base64 -w0 < "$1")";;
*) echo "*$(sha256sum < "$1" | cut -d' ' -f1)";; esac; else echo -; fi; };
if cd "$1" 2>/dev/null; then
cat what former; date -Is -r id; echo "$(paste -sd' ' interfaces)";
echo "$(paste -sd' ' prefixes)";
echo "=$(base64 -w0 < live)"; n=0;
while IFS= read -r p; do n=$((n+1)); echo "$p|$(show "$p")|$(show "old/$n")"; done < paths; fi"""


@dataclass(frozen=True)
class Kept(State):
    """A path, now and before; None: not there. A secret one is known by its digest alone."""

    path: str
    now: str | None
    before: str | None
    secret: bool


@dataclass(frozen=True)
class GuardState(State):
    """
    + unconfirmed: what was changed and waits for its confirmation; empty: nothing
    + what: was changed last; empty: there is nothing to go back to
    + former: where the node answered before it
    + when: it was made
    + interfaces, prefixes, live: that it took along, as ``guard.Step`` has them
    + files: that it took along
    """

    unconfirmed: str
    what: str = ""
    former: str = ""
    when: str = ""
    interfaces: str = ""
    prefixes: str = ""
    live: str = ""
    files: list[Kept] = field(default_factory=list)


class Guard(WholeFact[GuardState]):
    """What the guard has kept; ``None`` when it could not be read."""

    @override
    def command(self) -> StringCommand:
        return ask(_SCRIPT, FOLDER)

    @override
    def parse(
        self,
        unconfirmed: str,
        what: str = "",
        former: str = "",
        when: str = "",
        interfaces: str = "",
        prefixes: str = "",
        live: str = "",
        *paths: str,
    ) -> GuardState:
        if what and not live:
            raise CutShort
        known = (what, former, when, interfaces, prefixes, _text(live) or "")
        return GuardState(unconfirmed, *known, files=[_kept(line) for line in paths])


def _kept(line: str) -> Kept:
    if line.count("|") < 2 or not line.startswith("/"):
        raise OddLine(line)
    path, now, before = line.rsplit("|", 2)
    secret = now.startswith("*") or before.startswith("*")
    return Kept(path, _text(now), _text(before), secret)


def _text(shown: str) -> str | None:
    if shown.startswith("="):
        return text_of(shown[1:], "replace")
    return None if shown == "-" else shown
