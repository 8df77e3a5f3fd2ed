"""
The machine that the programs of a node are made for.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase, FactProcessError, QuoteString, StringCommand
from typing_extensions import override

from facts.files import END

_SCRIPT = f"uname -m; dpkg --print-architecture 2>/dev/null || echo; echo '{END}'"


@dataclass(frozen=True)
class ArchitectureState:
    """
    + kernel: as uname says it: "aarch64"
    + userland: as dpkg says it: "arm64"; "" on a system without dpkg
    """

    kernel: str
    userland: str


class Architecture(FactBase[ArchitectureState | None]):
    """
    The kernel's and the programs' architecture: a 64-bit kernel can run a 32-bit system.
    """

    @staticmethod
    @override
    def default() -> None:
        return None

    @override
    def command(self) -> StringCommand:
        return StringCommand("sh", "-c", QuoteString(_SCRIPT))

    @override
    def process(self, output: list[str]) -> ArchitectureState:
        lines = list(output)
        if len(lines) != 3 or lines[-1] != END:
            raise FactProcessError("the answer of the node is cut short")
        return ArchitectureState(lines[0], lines[1])
