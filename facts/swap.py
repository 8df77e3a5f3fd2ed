"""
Swap: what is in use now, and whatever would turn it on at the next boot.
"""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass

from pyinfra.api import StringCommand
from typing_extensions import override

from facts.base import State, WholeFact, ask
from facts.files import READ_FILES, FileState, parse_files

FSTAB = "/etc/fstab"
# The last one to be read, so that it has the last word.
RPI_SWAP = "/etc/rpi/swap.conf.d/99-bramble.conf"
FILES = [FSTAB, RPI_SWAP]

# Services that make and enable swap by themselves: Raspberry Pi OS up to 12, Debian's zram-tools,
# Ubuntu's zram-config.
_SERVICES = "dphys-swapfile.service zramswap.service zram-config.service"

# An in-use swap is one line of /proc/swaps; a service one that is enabled or running; a unit one
# that a file or a generator has made, other than from /etc/fstab, and that is not masked.
_SCRIPT = (
    """{ tail -n +2 /proc/swaps | base64 -w0; } 2>/dev/null; echo;
[ -e /usr/lib/systemd/system-generators/rpi-swap-generator ] || [ -e /etc/rpi/swap.conf ] \
&& echo rpi-swap || echo -;
for s in """
    + _SERVICES
    + """; do
e=$(systemctl is-enabled "$s" 2>/dev/null); a=$(systemctl is-active "$s" 2>/dev/null);
case "$e/$a" in enabled*|*/active) printf '%s ' "$s";; esac; done; echo;
for u in $({ systemctl list-unit-files --type=swap --no-legend --plain;
systemctl list-units --all --type=swap --no-legend --plain; } 2>/dev/null \
| cut -d' ' -f1 | sort -u); do
systemctl show -p LoadState,UnitFileState,FragmentPath,SourcePath -- "$u" 2>/dev/null \
| tr '\\n' '|';
echo "$u"; done | base64 -w0; echo;
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
    + services: services and units that turn swap on, enabled or running
    + units: swap units that systemd's generators or packages made, not masked, not from fstab
    + files: ``FILES``
    """

    in_use: list[str]
    used_kb: int
    available_kb: int
    rpi_swap: bool
    services: list[str]
    units: list[str]
    files: dict[str, FileState]


class Swap(WholeFact[SwapState]):
    """
    All swap of a node and its sources, in one reading.
    """

    @override
    def command(self) -> StringCommand:
        return ask(_SCRIPT, *FILES)

    @override
    def parse(
        self, swaps: str, rpi: str, services: str, units: str, memory: str, *files: str
    ) -> SwapState:
        words = memory.split()
        disable, mask = _own_units(_text(units))
        kb = {words[at].rstrip(":"): int(words[at + 1]) for at in range(0, len(words) - 2, 3)}
        return SwapState(
            in_use=[line.split()[0] for line in _text(swaps).splitlines() if line.strip()],
            used_kb=kb.get("SwapTotal", 0) - kb.get("SwapFree", 0),
            available_kb=kb.get("MemAvailable", 0),
            rpi_swap=rpi == "rpi-swap",
            services=[*services.split(), *disable],
            units=mask,
            files=parse_files(files, FILES),
        )


def _text(line: str) -> str:
    return b64decode(line).decode("utf-8", "surrogateescape")


def _own_units(text: str) -> tuple[list[str], list[str]]:
    """
    The units with a file of their own: those to disable, which a person has written (a mask can't
    take the place of a file in /etc), and those to mask. One for a swap turned on by hand has no
    file, and ends with that swap.
    """
    disable, mask = [], []
    for line in text.splitlines():
        *properties, unit = line.split("|")
        values = dict(entry.split("=", 1) for entry in properties if "=" in entry)
        path = values.get("FragmentPath", "")
        if values.get("LoadState") == "masked" or not path or values.get("SourcePath") == FSTAB:
            continue
        if not path.startswith("/etc/"):
            mask.append(unit)
        elif values.get("UnitFileState") == "enabled":
            disable.append(unit)
    return disable, mask
