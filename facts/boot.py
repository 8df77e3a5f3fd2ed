"""
Which boot a node is in.
"""

from __future__ import annotations

from pyinfra.api import FactBase, FactProcessError, StringCommand
from typing_extensions import override


class BootId(FactBase[str | None]):
    """
    The kernel's random id of the present boot: another one means that the node was rebooted.

    (The uptime says it less well: a container shows its host's.)

    Its length shows that it is whole. No end marker: operations.reboot compares what the command
    prints as it is.
    """

    @staticmethod
    @override
    def default() -> None:
        return None

    @override
    def command(self) -> StringCommand:
        return StringCommand("cat", "/proc/sys/kernel/random/boot_id")

    @override
    def process(self, output: list[str]) -> str:
        lines = [line.strip() for line in output if line.strip()]
        if len(lines) != 1 or len(lines[0]) != 36:
            raise FactProcessError("the answer of the node is cut short")
        return lines[0]
