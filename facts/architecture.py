"""The architecture of kernel and system."""

from __future__ import annotations

from dataclasses import dataclass

from facts.base import State, WholeFact

_SCRIPT = "uname -m; dpkg --print-architecture 2>/dev/null || echo"


@dataclass(frozen=True)
class ArchitectureState(State):
    """
    + kernel: as in uname: "aarch64"
    + userland: as in dpkg: "arm64"; "": no dpkg
    """

    kernel: str
    userland: str


class Architecture(WholeFact[ArchitectureState]):
    """Read the architecture of kernel and system: a 64-bit kernel can run a 32-bit system."""

    script = (_SCRIPT,)

    def parse(self, kernel: str, userland: str) -> ArchitectureState:
        return ArchitectureState(kernel, userland)
