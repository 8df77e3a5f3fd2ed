"""Which updates a node's package lists have, and what stands in their way."""

from __future__ import annotations

from dataclasses import dataclass

from facts.base import State, UnexpectedLine, WholeFact, number
from formats.apt import Installation, simulated

UNIT = "bramble-updates"
ARCHIVES = "/var/cache/apt/archives"
BOOT = ("/boot", "/boot/firmware")

# Without locks, and without a change: it may run beside another apt. The lists' folder is touched
# whenever they are fetched. dpkg's status of a package: desired, observed, error; what it has done
# last may stand in its journal.
_SCRIPT = f"""cd /var/lib/apt/lists 2>/dev/null || cd /; set -- *Packages*;
[ -e "$1" ] && echo $(($(date +%s) - $(stat -c %Y .))) || echo -;
systemctl is-active --quiet {UNIT}.service && echo running || echo -;
for p in {ARCHIVES} / {" ".join(BOOT)}; do [ ! -d $p ] ||
df -Pm $p | awk -v p=$p 'NR == 2 {{print "free", p, $4, $6}}'; done;
dpkg-query -W -f='${{db:Status-Abbrev}} ${{Package}}\n' |
awk '$1 !~ /^.[nci]$/ {{print "broken", $2}}';
ls /var/lib/dpkg/updates | grep -q . && echo journal;
apt-mark showhold | xargs -r apt-cache policy |
awk '/^[^ ]/ {{sub(/:$/, ""); p=$1}} $1 == "Installed:" {{i=$2}}
$1 == "Candidate:" && i != $2 && i != "(none)" {{print "kept", p, $2}}';
a="apt-get -q -y -o Debug::NoLocking=1 --no-install-recommends";
$a -s full-upgrade 2>&1 </dev/null | grep -E '^(Inst|Remv|E:) ';
$a -qq --print-uris full-upgrade 2>/dev/null </dev/null |
awk '{{s += $3}} END {{print "bytes", s+0}}';
$a -s autoremove 2>/dev/null </dev/null | sed -n 's/^Remv \\([^ ]*\\).*/unneeded \\1/p'"""


@dataclass(frozen=True)
class UpdatesState(State):
    """
    + age: of the package lists, in seconds; None: there are none
    + running: whether an interrupted run's installation of updates is still running
    + free: the free MB and the mount point of ``ARCHIVES``, "/" and the folders of ``BOOT``
    + broken: packages whose installation was interrupted, or has failed
    + journal: whether dpkg was interrupted
    + kept: held packages with a newer version, and that version
    + installs, removes: what an upgrade would install and remove, by package
    + problems: apt's own, for which it can't tell
    + download: bytes that are still to be downloaded
    + unneeded: packages that nothing needs any more, old kernels among them
    """

    age: int | None
    running: bool
    free: dict[str, tuple[int, str]]
    broken: list[str]
    journal: bool
    kept: dict[str, str]
    installs: dict[str, Installation]
    removes: list[str]
    problems: list[str]
    download: int
    unneeded: list[str]


class Updates(WholeFact[UpdatesState]):
    """Read the updates that a node's package lists have: an ``UpdatesState``."""

    script = (_SCRIPT,)

    def parse(self, age: str, running: str, *rest: str) -> UpdatesState:
        free: dict[str, tuple[int, str]] = {}
        kept: dict[str, str] = {}
        named: dict[str, list[str]] = {"broken": [], "unneeded": [], "bytes": []}
        planned, problems = [], []
        for line in rest:
            match line.split():
                case ["free", path, size, mount]:
                    free[path] = number(size), mount
                case ["kept", name, version]:
                    kept[name] = version
                case ["broken" | "unneeded" | "bytes" as kind, word]:
                    named[kind].append(word)
                case ["Inst" | "Remv", *_]:
                    planned.append(line)
                case ["E:", *_]:
                    problems.append(line.removeprefix("E: "))
                case ["journal"]:
                    pass
                case _:
                    raise UnexpectedLine(line)
        installs, removes = simulated(planned)
        return UpdatesState(
            age=None if age == "-" else number(age),
            running=running == "running",
            free=free,
            broken=named["broken"],
            journal="journal" in rest,
            kept=kept,
            installs=installs,
            removes=removes,
            problems=problems,
            download=sum(map(number, named["bytes"])),
            unneeded=named["unneeded"],
        )
