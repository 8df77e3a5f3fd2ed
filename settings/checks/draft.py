"""What the checks look at, and the names of all settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from settings.errors import Problem
from settings.model import Cluster, Node
from settings.sources import Host, Sources

HOST_DATA = ("address", "uplink_address", "first_address")
PER_NODE = tuple(name for name in Node.model_fields if name not in ("name", "role", *HOST_DATA))
HEAD_ONLY = tuple(name for name in Cluster.model_fields if name.startswith(("uplink_", "wifi_")))
CLUSTER_WIDE = tuple(
    name for name in Cluster.model_fields if name not in ("desk", "nodes", *HEAD_ONLY)
)
OURS = frozenset((*HOST_DATA, *PER_NODE, *CLUSTER_WIDE, *HEAD_ONLY))
# The data that pyinfra 3.10's SSH connector takes from a host.
PYINFRA = frozenset(
    f"ssh_{name}"
    for name in (
        "hostname", "port", "user", "password", "key", "key_password", "allow_agent",
        "look_for_keys", "forward_agent", "config_file", "known_hosts_file",
        "strict_host_key_checking", "paramiko_connect_kwargs", "connect_retries",
        "connect_retry_min_delay", "connect_retry_max_delay", "file_transfer_protocol",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Draft:
    """What was written, and the cluster as far as it could be parsed.

    + hosts: those in the groups head and workers, by name
    + first: the one whose data hold for the cluster: the head
    """

    sources: Sources
    hosts: dict[str, Host]
    first: Host
    cluster: Cluster

    def problem(self, setting: str, text: str, node: Node | None = None) -> Problem:
        """A mistake in a setting, at the file that has it: of that node, else of the head."""
        host = self.hosts[node.name] if node else self.first
        file = host.data[setting].file
        return Problem(file, text, host.name if file == self.sources.inventory else None, setting)

    @property
    def nat_heads(self) -> list[Node]:
        nodes = self.cluster.nodes if self.cluster.topology == "nat" else ()
        return [node for node in nodes if node.role == "head"]


Check = Callable[[Draft], Iterator[Problem]]
