"""The machine itself: its board, its memory, its disk, the system on it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from facts.base import State, UnexpectedLine, WholeFact, number

SYNCED_WRITES = 8
_LONGEST_S = 4  # for all of them

# Writes a few blocks synchronously, as etcd does, because the kernel has no counter for how long
# that takes on an SD card. The file is removed afterwards.
_SCRIPT = f"""tr -d '\\0' < /proc/device-tree/model 2>/dev/null; echo;
. /etc/os-release 2>/dev/null; echo "$ID"; echo "$VERSION_ID"; echo "$PRETTY_NAME"; nproc;
awk '/^MemTotal:/ {{print int($2 / 1024)}}' /proc/meminfo;
df -Pm /var | awk 'NR == 2 {{print $2; print $4}}';
for d in / /etc /var; do [ -w $d ] || printf '%s ' $d; done; echo;
t=$(mktemp /var/tmp/bramble-XXXXXX 2>/dev/null);
timeout -s INT {_LONGEST_S} dd if=/dev/zero of="$t" bs=4k count={SYNCED_WRITES} \
oflag=dsync 2>&1 | sed -n 's/.* copied, \\([0-9.]*\\) s.*/\\1/p' | grep . || echo -;
rm -f "$t" """


@dataclass(frozen=True)
class MachineState(State):
    """
    + model: "Raspberry Pi 4 Model B Rev 1.4"; "" if unknown
    + system: /etc/os-release's ID: "debian"; "" without one
    + version: its VERSION_ID: "13"
    + system_name: its PRETTY_NAME
    + memory_mb: all of it, as kubeadm counts it
    + disk_mb, free_mb: the file system of /var
    + read_only: those of /, /etc and /var that can't be written
    + sync_ms: how long a small write takes until it is on the disk; None: it can't be written
    """

    model: str
    system: str
    version: str
    system_name: str
    processors: int
    memory_mb: int
    disk_mb: int
    free_mb: int
    read_only: list[str]
    sync_ms: float | None


class Machine(WholeFact[MachineState]):
    """The board and the system on it. Writes and removes one small file in /var/tmp."""

    script = (_SCRIPT,)

    def parse(
        self,
        model: str,
        system: str,
        version: str,
        system_name: str,
        processors: str,
        memory: str,
        disk: str,
        free: str,
        read_only: str,
        synced: str,
    ) -> MachineState:
        return MachineState(
            model=model,
            system=system,
            version=version,
            system_name=system_name,
            processors=number(processors),
            memory_mb=number(memory),
            disk_mb=number(disk),
            free_mb=number(free),
            read_only=read_only.split(),
            sync_ms=None if synced == "-" else round(_seconds(synced) * 1000 / SYNCED_WRITES, 1),
        )


def _seconds(line: str) -> float:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", line):
        raise UnexpectedLine(line)
    return float(line)
