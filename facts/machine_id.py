"""
The machine's id.
"""

from __future__ import annotations

from pyinfra.api import FactBase, FactProcessError, QuoteString, StringCommand
from typing_extensions import override

from facts.files import END


class MachineId(FactBase[str | None]):
    """
    The content of /etc/machine-id (machine-id(5)), "" where there is none yet.
    """

    @staticmethod
    @override
    def default() -> None:
        return None

    @override
    def command(self) -> StringCommand:
        script = f"cat /etc/machine-id 2>/dev/null || echo; echo '{END}'"
        return StringCommand("sh", "-c", QuoteString(script))

    @override
    def process(self, output: list[str]) -> str:
        lines = list(output)
        if not lines or lines[-1] != END:
            raise FactProcessError("the answer of the node is cut short")
        return "".join(lines[:-1]).strip()
