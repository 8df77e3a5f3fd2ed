"""
Swap: what is in use now, and whatever would turn it on at the next boot.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from pyinfra.api import StringCommand
from typing_extensions import override

from facts.base import State, WholeFact, ask, number, one_of, text_of
from facts.files import READ_FILES, FileState, parse_files

FSTAB = "/etc/fstab"
# The last one to be read, so that it has the last word.
RPI_SWAP = "/etc/rpi/swap.conf.d/99-bramble.conf"
FILES = [FSTAB, RPI_SWAP]

# What they say is run at boot, at a time, or when a device turns up, without a unit of its own.
_SCRIPTS = "/etc/rc.local /etc/crontab /etc/cron.d /var/spool/cron/crontabs /etc/udev/rules.d"

# ``calls`` prints those of the files that call swapon other than to ask it. systemd is asked which
# services run at boot or have run since; those are printed whose unit, or whose program where that
# is a script, calls swapon, and the units that trigger them. A swap unit here is one that a file or
# a generator has made.
_SCRIPT = (
    """{ tail -n +2 /proc/swaps | base64 -w0; } 2>/dev/null; echo;
[ -e /usr/lib/systemd/system-generators/rpi-swap-generator ] || [ -e /etc/rpi/swap.conf ] \
&& echo rpi-swap || echo -;
calls() { sort -u |
xargs -r sh -c 'find -L "$@" -maxdepth '"$1"' -type f -size -256k 2>/dev/null' f |
xargs -r grep -HsIE '^[^#]*\\<swapon\\>' | grep -vE 'swapon +(-[sVh]|--(s|no|by|raw|v|h))' |
cut -d: -f1 | sort -u; };
run=$({ systemctl list-unit-files --type=service --state=enabled,enabled-runtime,generated \
--no-legend --plain; systemctl list-units --all --type=service --no-legend --plain; } 2>/dev/null |
cut -d' ' -f1 | grep -v '@\\.' | sort -u | xargs -r systemctl show -p \
Id,FragmentPath,DropInPaths,SourcePath,ExecStartPre,ExecStart,ExecStartPost 2>/dev/null |
awk '/^Id=/ {u=substr($0, 4)} {n=split($0, w, /[^A-Za-z0-9\\/._@:+-]+/);
for (i=1; i<=n; i++) if (w[i] ~ /^\\/./) f[++k]=w[i]}
function out() {for (i=1; i<=k; i++) print u " " f[i]; k=0} /^$/ {out()} END {out()}');
at=$(echo "$run" | cut -d' ' -f2 | grep -vx /etc/rc.local | calls 0); export at;
u=$(echo "$run" | awk 'BEGIN {n=split(ENVIRON["at"], f, "\\n"); for (i=1; i<=n; i++) is[f[i]]}
$2 in is {print $1}' | sort -u);
for u in $u $(echo "$u" | xargs -r systemctl show -p TriggeredBy --value -- 2>/dev/null); do
printf 'Enabled=%s|' "$(systemctl is-enabled -- "$u" 2>/dev/null)";
printf 'Zram=%s|' "$(echo "$run" | awk -v u="$u" '$1 == u {print $2}' |
xargs -r grep -lsI -d skip zram | head -n 1)";
systemctl show -p ActiveState,LoadState,FragmentPath,TriggeredBy,ExecMainStartTimestampMonotonic \
-- "$u" | tr '\\n' '|'; echo "$u"; done | base64 -w0; echo;
for f in """
    + _SCRIPTS
    + """; do echo "$f"; done | calls 1 | tr '\\n' ' '; echo;
for u in $({ systemctl list-unit-files --type=swap --no-legend --plain;
systemctl list-units --all --type=swap --no-legend --plain; } 2>/dev/null \
| cut -d' ' -f1 | sort -u); do
systemctl show -p LoadState,UnitFileState,FragmentPath,SourcePath -- "$u" 2>/dev/null \
| tr '\\n' '|';
echo "Of=$(readlink -f "$(systemctl show -p What --value -- "$u")" 2>/dev/null)|$u"; done |
base64 -w0; echo;
grep -E '^(MemAvailable|SwapTotal|SwapFree):' /proc/meminfo | tr -s ' \\n' ' '; echo;
"""
    + READ_FILES
)


@dataclass(frozen=True)
class SwapState(State):
    """
    Where a node's swap comes from.

    + in_use: the devices and files of /proc/swaps
    + used_kb, available_kb: what is swapped out, and the memory that could take it back
    + rpi_swap: whether Raspberry Pi OS's rpi-swap is installed
    + services: services that turn swap on, units that trigger them, and swap units of a person:
      enabled or running
    + units: swap units that systemd's generators or packages made, not masked, not from fstab;
      and services that nothing enables, and that have turned swap on in this boot
    + files: ``FILES``
    + scripts: files that turn swap on at boot and are run by no unit of their own
    + accounted: what of ``in_use`` units stand for, fstab's too
    + by_service: whether a service that has run in this boot turns swap on
    + by_zram_service: whether one of those speaks of zram
    """

    in_use: list[str]
    used_kb: int
    available_kb: int
    rpi_swap: bool
    services: list[str]
    units: list[str]
    files: dict[str, FileState]
    scripts: list[str] = field(default_factory=list)
    accounted: list[str] = field(default_factory=list)
    by_service: bool = False
    by_zram_service: bool = False


class Swap(WholeFact[SwapState]):
    """
    All swap of a node and its sources, in one reading.
    """

    @override
    def command(self) -> StringCommand:
        return ask(_SCRIPT, *FILES)

    @override
    def parse(
        self,
        swaps: str,
        rpi: str,
        services: str,
        scripts: str,
        units: str,
        memory: str,
        *files: str,
    ) -> SwapState:
        words = memory.split()
        kb = {words[at].rstrip(":"): number(words[at + 1]) for at in range(0, len(words) - 2, 3)}
        in_use = [line.split()[0] for line in text_of(swaps).splitlines() if line.strip()]
        own = [_properties(line) for line in text_of(units).splitlines()]
        callers = [_properties(line) for line in text_of(services).splitlines()]
        if one_of(rpi, "rpi-swap", "-") == "rpi-swap":  # its own setting stops these
            callers = [each for each in callers if not each["unit"].startswith("rpi-")]
        todo = _todo(callers)
        disable, mask = _own_units(own)
        return SwapState(
            in_use=in_use,
            used_kb=kb.get("SwapTotal", 0) - kb.get("SwapFree", 0),
            available_kb=kb.get("MemAvailable", 0),
            rpi_swap=rpi == "rpi-swap",
            services=[*todo["disable"], *disable],
            units=[*todo["mask"], *mask],
            scripts=[*scripts.split(), *todo["tell"]],
            accounted=[each["Of"] for each in own if each["FragmentPath"] and each["Of"]],
            by_service=any(_has_run(each) for each in callers),
            by_zram_service=any(_has_run(each) and each["Zram"] for each in callers),
            files=parse_files(files, FILES),
        )


def _properties(line: str) -> defaultdict[str, str]:
    """``NAME=value|…|UNIT``; what the unit has not is empty."""
    *entries, unit = line.split("|")
    pairs = dict(entry.split("=", 1) for entry in entries if "=" in entry)
    return defaultdict(str, pairs, unit=unit)


def _has_run(unit: dict[str, str]) -> bool:
    return unit["ExecMainStartTimestampMonotonic"] not in ("", "0")


def _todo(callers: list[defaultdict[str, str]]) -> dict[str, list[str]]:
    """What keeps services from turning swap on again: to disable, to mask, to tell a person of."""
    todo: dict[str, list[str]] = {"disable": [], "mask": [], "tell": []}
    for unit in callers:
        active = unit["ActiveState"] in ("active", "activating", "reloading")
        if unit["LoadState"] == "masked":
            continue
        if unit["Enabled"].startswith("enabled") or (unit["Enabled"] == "disabled" and active):
            todo["disable"].append(unit["unit"])
        elif unit["Enabled"] == "static" and _has_run(unit) and not unit["TriggeredBy"]:
            if unit["FragmentPath"].startswith("/etc/"):  # where a mask can't take its place
                todo["tell"].append(unit["FragmentPath"])
            else:
                todo["mask"].append(unit["unit"])
    return todo


def _own_units(units: list[defaultdict[str, str]]) -> tuple[list[str], list[str]]:
    """
    The swap units with a file of their own: those to disable, which a person has written (a mask
    can't take the place of a file in /etc), and those to mask. One for a swap turned on by hand has
    no file, and ends with that swap.
    """
    disable, mask = [], []
    for unit in units:
        path = unit["FragmentPath"]
        if unit["LoadState"] == "masked" or not path or unit["SourcePath"] == FSTAB:
            continue
        if not path.startswith("/etc/"):
            mask.append(unit["unit"])
        elif unit["UnitFileState"] == "enabled":
            disable.append(unit["unit"])
    return disable, mask
