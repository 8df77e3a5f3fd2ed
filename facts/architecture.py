"""
The machine that the programs of a node are made for.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import StringCommand
from typing_extensions import override

from facts.base import State, WholeFact, ask

_SCRIPT = "uname -m; dpkg --print-architecture 2>/dev/null || echo"


@dataclass(frozen=True)
class ArchitectureState(State):
    """
    + kernel: as uname says it: "aarch64"
    + userland: as dpkg says it: "arm64"; "" on a system without dpkg
    """

    kernel: str
    userland: str


class Architecture(WholeFact[ArchitectureState]):
    """
    The kernel's and the programs' architecture: a 64-bit kernel can run a 32-bit system.
    """

    @override
    def command(self) -> StringCommand:
        return ask(_SCRIPT)

    @override
    def parse(self, kernel: str, userland: str) -> ArchitectureState:
        return ArchitectureState(kernel, userland)
