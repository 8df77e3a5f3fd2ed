"""The machine-id."""

from __future__ import annotations

from facts.base import WholeFact


class MachineId(WholeFact[str]):
    """Read /etc/machine-id (machine-id(5)); "" if there is none yet."""

    script = ('echo "$(cat /etc/machine-id 2>/dev/null)"',)

    def parse(self, *lines: str) -> str:
        return "".join(lines).strip()
