"""
Docker Engine: whether it is installed and runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase, FactProcessError, QuoteString, StringCommand
from typing_extensions import override

from facts.files import END

_SCRIPT = f"""command -v dockerd >/dev/null && echo engine || echo -;
command -v docker >/dev/null && echo client || echo -;
systemctl is-enabled docker.service 2>/dev/null | grep -x enabled || echo -;
systemctl is-active docker.service 2>/dev/null | grep -x active || echo -;
echo '{END}'"""


@dataclass(frozen=True)
class DockerState:
    """
    + engine, client: whether dockerd and the docker command are installed
    + enabled, active: of the service
    """

    engine: bool
    client: bool
    enabled: bool
    active: bool


class Docker(FactBase[DockerState | None]):
    """
    The state of Docker Engine.
    """

    @staticmethod
    @override
    def default() -> None:
        return None

    @override
    def command(self) -> StringCommand:
        return StringCommand("sh", "-c", QuoteString(_SCRIPT))

    @override
    def process(self, output: list[str]) -> DockerState:
        lines = list(output)
        if len(lines) != 5 or lines[-1] != END:
            raise FactProcessError("the answer of the node is cut short")
        engine, client, enabled, active, _ = lines
        return DockerState(
            engine == "engine", client == "client", enabled == "enabled", active == "active"
        )
