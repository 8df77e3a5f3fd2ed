"""What no two nodes may share, which only shows when they are compared."""

from __future__ import annotations

from facts.machine_id import MachineId
from facts.networks import Networks
from messages import preflight as messages
from operations import machine_id as machine_ids
from operations.preflight.node import Node, Nodes
from operations.preflight.results import Result, failure, ok, warning


def same_machine(node: Node, nodes: Nodes) -> Result | None:
    """No two names of the inventory lead to one machine."""
    same = _sharing("boot", node, nodes)
    return failure(messages.SAME_MACHINE(node=node.name, others=same)) if same else None


def hostname(node: Node, nodes: Nodes) -> Result:
    """No other node has its hostname, or the run changes it."""
    own = node.known(Networks).hostname
    if same := _sharing("hostname", node, nodes):
        return warning(messages.SAME_HOSTNAME(hostname=own, others=same, node=node.name))
    return ok(own if own == node.name else f"{own}: the run sets {node.name}")


def hardware_addresses(node: Node, nodes: Nodes) -> Result:
    """No other node's interfaces have the hardware addresses of this one's."""
    own = {name: mac for name, mac in node.hardware.items() if name in node.desired.names}
    for other in _others(node, nodes):
        for name, address in other.hardware.items():
            twins = [mine for mine, value in own.items() if value == address]
            if twins and name in other.desired.names:
                return failure(
                    messages.SAME_HARDWARE_ADDRESS(
                        interface=twins[0], address=address, other=other.name, other_interface=name
                    )
                )
    return ok(", ".join(own.values()) or "none")


def machine_id(node: Node, nodes: Nodes) -> Result:
    """No other node has its machine-id."""
    node.known(MachineId)
    ids = {name: each.read(MachineId) for name, each in nodes.items()}
    machine_ids.check(node.name, {name: value for name, value in ids.items() if value is not None})
    return ok("unique")


def _others(node: Node, nodes: Nodes) -> list[Node]:
    return [each for name, each in nodes.items() if name != node.name]


def _sharing(field: str, node: Node, nodes: Nodes) -> str:
    """Name the nodes with the same value in a field of ``NetworksState``."""
    own = getattr(node.known(Networks), field)
    return " and ".join(
        each.name
        for each in _others(node, nodes)
        if getattr(each.read(Networks), field, None) == own
    )
