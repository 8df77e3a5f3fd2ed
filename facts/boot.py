"""The present boot of a node."""

from __future__ import annotations

from uuid import UUID

from facts.base import WholeFact


class BootId(WholeFact[str]):
    """
    The kernel's random id of the present boot: another one means that the node was rebooted.

    (In a container, the uptime is its host's.)
    """

    script = ("cat /proc/sys/kernel/random/boot_id",)

    def parse(self, boot: str) -> str:
        return str(UUID(boot))
