"""The rollback guard: a pending change, and the saved state before the last confirmed one."""

from __future__ import annotations

from dataclasses import dataclass, field

from facts.base import IncompleteAnswer, State, UnexpectedLine, WholeFact, text_of

FOLDER = "/var/lib/bramble/guard/previous"

# A path per line with its present and its saved state: "-" for no file, "*" and a digest for a file
# that not everybody may read, the target of a link, else "=" and the content in base64.
_SCRIPT = """echo "$(cd /var/lib/bramble/guard 2>/dev/null &&
cat pending/what restoring/what 2>/dev/null)";
show() { if [ -L "$1" ]; then echo "link to $(readlink "$1")";
elif [ -f "$1" ]; then case $(stat -c %a "$1") in *[4567]) echo "=$(base64 -w0 < "$1")";;
*) echo "*$(sha256sum < "$1" | cut -d' ' -f1)";; esac; else echo -; fi; };
if cd "$1" 2>/dev/null; then
cat what address; date -Is -r id; echo "$(paste -sd' ' interfaces)";
echo "$(paste -sd' ' prefixes)";
echo "=$(base64 -w0 < reload)"; echo "=$(base64 -w0 < entries 2>/dev/null)"; n=0;
while IFS= read -r p; do n=$((n+1)); echo "$p|$(show "$p")|$(show "old/$n")"; done < paths; fi"""


@dataclass(frozen=True)
class Kept(State):
    """A path, now and before; None: no file. Of a secret only the digest is known."""

    path: str
    now: str | None
    before: str | None
    secret: bool


@dataclass(frozen=True)
class GuardState(State):
    """
    + pending: what a change that is not confirmed changes; "": no such change
    + what: what the last confirmed change changed; "": nothing to undo
    + address: of the node before it
    + when: time of that change
    + interfaces, prefixes, reload: of that change, as in ``guard.Step``
    + entries: the record's entries of what that change removed, as JSON; "": it removed nothing
    + files: of that change
    """

    pending: str
    what: str = ""
    address: str = ""
    when: str = ""
    interfaces: str = ""
    prefixes: str = ""
    reload: str = ""
    entries: str = ""
    files: list[Kept] = field(default_factory=list)


class Guard(WholeFact[GuardState]):
    """Read what the guard has saved; ``None`` when it could not be read."""

    script = (_SCRIPT, FOLDER)

    def parse(
        self,
        pending: str,
        what: str = "",
        address: str = "",
        when: str = "",
        interfaces: str = "",
        prefixes: str = "",
        reload: str = "",
        entries: str = "",
        *paths: str,
    ) -> GuardState:
        if what and not entries:
            raise IncompleteAnswer
        texts = (_text(reload) or "", _text(entries) or "")
        known = (what, address, when, interfaces, prefixes, *texts)
        return GuardState(pending, *known, files=[_kept(line) for line in paths])


def _kept(line: str) -> Kept:
    if line.count("|") < 2 or not line.startswith("/"):
        raise UnexpectedLine(line)
    path, now, before = line.rsplit("|", 2)
    secret = now.startswith("*") or before.startswith("*")
    return Kept(path, _text(now), _text(before), secret)


def _text(shown: str) -> str | None:
    if shown.startswith("="):
        return text_of(shown[1:], "replace")
    return None if shown == "-" else shown
