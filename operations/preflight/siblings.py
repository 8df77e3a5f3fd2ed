"""
What no two nodes may share: they show up side by side alone.
"""

from __future__ import annotations

from operations import machine_id as machine_ids
from operations.preflight.rows import Desk, Node, Verdict, failure, known, ok, warning


def machine(node: Node, desk: Desk) -> Verdict | None:
    """No two names of the inventory lead to one machine."""
    own = known(node.found.networks).boot
    same = [each.name for each in _others(node, desk) if _networks(each, "boot") == own]
    if not same:
        return None
    return failure(
        f"{node.name} and {' and '.join(same)} are one machine: see in inventory.py whose address "
        "is wrong"
    )


def host_name(node: Node, desk: Desk) -> Verdict:
    """Its own, or one that the run gives it."""
    own = known(node.found.networks).hostname
    same = [each.name for each in _others(node, desk) if _networks(each, "hostname") == own]
    if same:
        return warning(
            f"{own}, as {' and '.join(same)}: the run calls this one {node.name}; see that no card "
            "is a copy"
        )
    return ok(own if own == node.name else f"{own}: the run calls it {node.name}")


def hardware_addresses(node: Node, desk: Desk) -> Verdict:
    """Those of the interfaces that we use are nobody else's."""
    own = {name: address for name, address in _hardware(node).items() if name in node.wanted.names}
    for other in _others(node, desk):
        for name, address in _hardware(other).items():
            twins = [mine for mine, value in own.items() if value == address]
            if twins and name in other.wanted.names:
                return failure(
                    f"its {twins[0]} has the hardware address {address}, as {other.name}'s {name}: "
                    "take out the setting that gives it (`grep -ri mac /etc/netplan "
                    "/etc/NetworkManager /etc/network`), or give a virtual machine another one"
                )
    return ok(", ".join(own.values()) or "none")


def machine_id(node: Node, desk: Desk) -> Verdict:
    """Not that of another node."""
    known(node.found.machine_id)
    ids = {
        name: each.found.machine_id
        for name, each in desk.items()
        if each.found.machine_id is not None
    }
    machine_ids.check(node.name, ids)
    return ok("its own")


def _others(node: Node, desk: Desk) -> list[Node]:
    return [each for name, each in desk.items() if name != node.name]


def _networks(node: Node, field: str) -> str | None:
    return getattr(node.found.networks, field, None)


def _hardware(node: Node) -> dict[str, str]:
    return node.found.networks.hardware if node.found.networks else {}
