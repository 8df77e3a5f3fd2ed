"""Swap: what is in use, and what would turn it on at the next boot."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from facts.base import State, WholeFact, number, one_of, text_of
from facts.files import READ_FILES, FileState, parse_files

FSTAB = "/etc/fstab"
# Read last, so that it overrides the other files.
RPI_SWAP = "/etc/rpi/swap.conf.d/99-bramble.conf"
FILES = [FSTAB, RPI_SWAP]

# Commands in these run at boot, at a time, or when a device appears, without a unit of their own.
_SCRIPTS = "/etc/rc.local /etc/crontab /etc/cron.d /var/spool/cron/crontabs /etc/udev/rules.d"

# ``calls`` prints the files that call swapon other than to query it. To ask systemd about every
# service takes a second on a fast computer, so it is asked only where its directories are. ``run``
# has the paths that each unit file names as its programs: a superset of the services that run at
# boot or have run since, of which those are printed whose unit, or whose program if that is a
# script, calls swapon, and the units that trigger them. Then all swap units.
_SCRIPT = (
    """{ tail -n +2 /proc/swaps | base64 -w0; } 2>/dev/null; echo;
[ -e /usr/lib/systemd/system-generators/rpi-swap-generator ] || [ -e /etc/rpi/swap.conf ] \
&& echo rpi-swap || echo -;
calls() { xargs -r sh -c 'find -L "$@" -maxdepth '"$1"' -type f -size -256k 2>/dev/null' f |
xargs -r grep -HsIE '^[^#]*\\<swapon\\>' |
awk -F: '!/swapon +(-[sVh]|--(s|no|by|raw|v|h))/ && !seen[$1]++ {print $1}'; };
files=$(systemctl show -p UnitPath --value 2>/dev/null | tr ' ' '\\n' |
xargs -r -d '\\n' sh -c 'find -L "$@" -maxdepth 2 -type f \
\\( -name "*.service" -o -path "*.service.d/*.conf" -o -name "*.swap" \\) 2>/dev/null' f);
run=$(printf '%s\\n' "$files" | grep -v '\\.swap$' | xargs -r -d '\\n' awk '
FNR == 1 {u=FILENAME; sub(/\\.d\\/[^\\/]*$/, "", u); sub(/.*\\//, "", u); print u " " FILENAME;
on=0} /^(Exec(StartPre|Start|StartPost)|SourcePath)=/ {on=1; first=1}
on {n=split($0, w, /[^A-Za-z0-9\\/._@:+-]+/); for (i=1+first; i<=n; i++) {sub(/^[@:+-]+/, "", w[i]);
if (w[i] ~ /^\\//) print u " " w[i]; else if (first && i == 2 && w[i] != "")
for (d in in_path) print u " " d "/" w[i]}; first=0; on=/\\\\$/}
BEGIN {in_path["/usr/local/sbin"]; in_path["/usr/local/bin"]; in_path["/usr/sbin"];
in_path["/usr/bin"]}');
at=$(echo "$run" | awk '$2 != "/etc/rc.local" && !seen[$2]++ {print $2}' | calls 0); export at;
if [ -n "$at" ]; then u=$(echo "$run" |
awk 'BEGIN {n=split(ENVIRON["at"], f, "\\n"); for (i=1; i<=n; i++) is[f[i]]}
$2 in is {sub(/@\\.service$/, "@*.service", $1); print $1}' | sort -u |
xargs -r -d '\\n' systemctl show -p Id --value -- 2>/dev/null | sort -u);
for u in $u $(echo "$u" | xargs -r systemctl show -p TriggeredBy --value -- 2>/dev/null); do
printf 'Enabled=%s|' "$(systemctl is-enabled -- "$u" 2>/dev/null)";
printf 'Zram=%s|' "$(echo "$run" | awk -v u="$u" '{t=u; sub(/@.*\\./, "@.", t)}
$1 == u || $1 == t {print $2}' | xargs -r grep -lsI -d skip zram | head -n 1)";
systemctl show -p ActiveState,LoadState,FragmentPath,TriggeredBy,ExecMainStartTimestampMonotonic \
-- "$u" | tr '\\n' '|'; echo "$u"; done | base64 -w0; fi; echo;
for f in """
    + _SCRIPTS
    + """; do echo "$f"; done | calls 1 | tr '\\n' ' '; echo;
printf '%s\\n' "$files" '*.swap' | sed -n 's/.*\\/\\(.*\\.swap\\)$/\\1/p; /^\\*/p' | sort -u |
xargs -d '\\n' systemctl show -p Id,LoadState,UnitFileState,FragmentPath,SourcePath,What -- \
2>/dev/null | awk -F= 'function out() {if (id != "" && !seen[id]++) print what "|" all id;
id=what=all=""} /^$/ {out(); next} $1 == "Id" {id=substr($0, 4); next}
$1 == "What" {what=substr($0, 6); next} {all=all $0 "|"} END {out()}' |
while IFS='|' read -r of rest; do
printf 'Of=%s|%s\\n' "$([ -z "$of" ] || readlink -f "$of")" "$rest"; done | base64 -w0; echo;
grep -E '^(MemAvailable|SwapTotal|SwapFree):' /proc/meminfo | tr -s ' \\n' ' '; echo;
"""
    + READ_FILES
)


@dataclass(frozen=True)
class SwapState(State):
    """
    The swap of a node and its sources.

    + in_use: devices and files in /proc/swaps
    + used_kb, available_kb: swapped-out and available memory
    + rpi_swap: whether Raspberry Pi OS's rpi-swap is installed
    + services: to disable: services that turn swap on, units that trigger them, swap units in /etc
    + units: to mask: swap units from generators or packages, except those from fstab; services that
      nothing enables and that have turned swap on since boot
    + files: ``FILES``
    + scripts: files that turn swap on at boot and are not run by a unit of their own
    + accounted: members of ``in_use`` that have a unit
    + by_service: whether a service that has run since boot turns swap on
    + by_zram_service: whether one of those mentions zram
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
    """Read all swap of a node and its sources."""

    script = (_SCRIPT, *FILES)

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
        if one_of(rpi, "rpi-swap", "-") == "rpi-swap":  # its own configuration stops these
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
            scripts=[*sorted(scripts.split()), *todo["tell"]],
            accounted=[each["Of"] for each in own if each["FragmentPath"] and each["Of"]],
            by_service=any(_has_run(each) for each in callers),
            by_zram_service=any(_has_run(each) and each["Zram"] for each in callers),
            files=parse_files(files, FILES),
        )


def _properties(line: str) -> defaultdict[str, str]:
    """Parse ``NAME=value|…|UNIT``; a missing property is empty."""
    *entries, unit = line.split("|")
    pairs = dict(entry.split("=", 1) for entry in entries if "=" in entry)
    return defaultdict(str, pairs, unit=unit)


def _has_run(unit: dict[str, str]) -> bool:
    return unit["ExecMainStartTimestampMonotonic"] not in ("", "0")


def _todo(callers: list[defaultdict[str, str]]) -> dict[str, list[str]]:
    """Sort services that turn swap on: to disable, to mask, to warn of."""
    todo: dict[str, list[str]] = {"disable": [], "mask": [], "tell": []}
    for unit in callers:
        active = unit["ActiveState"] in ("active", "activating", "reloading")
        if unit["LoadState"] == "masked":
            continue
        if unit["Enabled"].startswith("enabled") or (unit["Enabled"] == "disabled" and active):
            todo["disable"].append(unit["unit"])
        elif unit["Enabled"] == "static" and _has_run(unit) and not unit["TriggeredBy"]:
            if unit["FragmentPath"].startswith("/etc/"):  # a mask cannot replace a file there
                todo["tell"].append(unit["FragmentPath"])
            else:
                todo["mask"].append(unit["unit"])
    return todo


def _own_units(units: list[defaultdict[str, str]]) -> tuple[list[str], list[str]]:
    """
    Sort swap units that have a file: to disable (in /etc, where a mask cannot replace a file), to
    mask. The unit of a swap that was turned on by hand has no file.
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
