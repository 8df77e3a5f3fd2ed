"""The machine-id."""

from __future__ import annotations

from pyinfra.api import StringCommand
from typing_extensions import override

from facts.base import WholeFact, ask


class MachineId(WholeFact[str]):
    """Read /etc/machine-id (machine-id(5)); "" if there is none yet."""

    @override
    def command(self) -> StringCommand:
        return ask('echo "$(cat /etc/machine-id 2>/dev/null)"')

    @override
    def parse(self, *lines: str) -> str:
        return "".join(lines).strip()
