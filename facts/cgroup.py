"""
The memory cgroup: whether the kernel has it, and the file that tells a Raspberry Pi's kernel to.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import StringCommand
from typing_extensions import override

from facts.base import State, WholeFact, ask, one_of
from facts.files import READ_FILES, FileState, parse_files

# Since Debian 12 the first one is true, and the second a note that says so.
FIRMWARE_CMDLINE = "/boot/firmware/cmdline.txt"
BOOT_CMDLINE = "/boot/cmdline.txt"
FILES = [FIRMWARE_CMDLINE, BOOT_CMDLINE]

# v2: the root's controllers; v1: a mount of the controller. /proc/cgroups is no sign of either.
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

    + memory: where it is: "v2", "v1", or "off"
    + running: the command line that the kernel was started with
    + files: ``FILES``
    """

    memory: str
    running: str
    files: dict[str, FileState]


class MemoryCgroup(WholeFact[CgroupState]):
    """
    Whether the memory cgroup is on, and what the kernel was and will be told.
    """

    @override
    def command(self) -> StringCommand:
        return ask(_SCRIPT, *FILES)

    @override
    def parse(self, memory: str, running: str, *files: str) -> CgroupState:
        memory = one_of(memory, "v2", "v1", "off")
        return CgroupState(memory, running.strip(), parse_files(files, FILES))
