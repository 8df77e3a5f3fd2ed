"""The present boot of a node."""

from __future__ import annotations

from uuid import UUID

from pyinfra.api import StringCommand
from typing_extensions import override

from facts.base import WholeFact, ask


class BootId(WholeFact[str]):
    """
    The kernel's random id of the present boot: another one means that the node was rebooted.

    (In a container, the uptime is its host's.)
    """

    @override
    def command(self) -> StringCommand:
        return ask("cat /proc/sys/kernel/random/boot_id")

    @override
    def parse(self, boot: str) -> str:
        return str(UUID(boot))
