"""Read whether Docker Engine is installed and runs."""

from __future__ import annotations

from dataclasses import dataclass

from facts.base import State, WholeFact, one_of

_SCRIPT = """command -v dockerd >/dev/null && echo engine || echo -;
command -v docker >/dev/null && echo client || echo -;
systemctl show -p ActiveState,UnitFileState docker.service 2>/dev/null |
awk -F= '{is[$1]=$2} END {print is["UnitFileState"] == "enabled" ? "enabled" : "-";
print is["ActiveState"] == "active" ? "active" : "-"}'"""


@dataclass(frozen=True)
class DockerState(State):
    """
    + engine, client: whether dockerd and the docker command are installed
    + enabled, active: of the service
    """

    engine: bool
    client: bool
    enabled: bool
    active: bool


class Docker(WholeFact[DockerState]):
    """Read the state of Docker Engine: a ``DockerState``."""

    script = (_SCRIPT,)

    def parse(self, engine: str, client: str, enabled: str, active: str) -> DockerState:
        return DockerState(
            one_of(engine, "engine", "-") == "engine",
            one_of(client, "client", "-") == "client",
            one_of(enabled, "enabled", "-") == "enabled",
            one_of(active, "active", "-") == "active",
        )
