"""The memory cgroup, and the kernel command line that turns it on."""

from __future__ import annotations

from dataclasses import dataclass

from facts.base import State, WholeFact, one_of
from facts.files import READ_FILES, FileState, parse_files

# Since Debian 12 the first is in effect, and the second only a note that names it.
FIRMWARE_CMDLINE = "/boot/firmware/cmdline.txt"
BOOT_CMDLINE = "/boot/cmdline.txt"
FILES = [FIRMWARE_CMDLINE, BOOT_CMDLINE]

# v2: controllers of the root; v1: a mount of the controller. /proc/cgroups tells neither.
_SCRIPT = (
    """if grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null; then echo v2;
elif awk '$3 == "cgroup" && $4 ~ /(^|,)memory(,|$)/ {f=1} END {exit !f}' /proc/self/mounts;
then echo v1; else echo off; fi;
tr '\\n' ' ' < /proc/cmdline; echo;
"""
    + READ_FILES
)


@dataclass(frozen=True)
class CgroupState(State):
    """
    The memory cgroup of a node.

    + memory: "v2", "v1", or "off"
    + running: command line of the running kernel
    + files: ``FILES``
    """

    memory: str
    running: str
    files: dict[str, FileState]


class MemoryCgroup(WholeFact[CgroupState]):
    """Read whether the memory cgroup is on, and the present and next kernel command line."""

    script = (_SCRIPT, *FILES)

    def parse(self, memory: str, running: str, *files: str) -> CgroupState:
        memory = one_of(memory, "v2", "v1", "off")
        return CgroupState(memory, running.strip(), parse_files(files, FILES))
