"""
All checks, in the order in which they are shown.
"""

from __future__ import annotations

from operations.base import HostFailure
from operations.preflight import (
    clusters,
    filters,
    hardware,
    network,
    reach,
    siblings,
    system,
)
from operations.preflight.rows import Check, Desk, Node, Row, Unread, failure, warning
from runs.failures import explain

CHECKS: dict[str, Check] = {
    "other runs": system.other_runs,
    "same machine": siblings.machine,
    "architecture": hardware.architecture,
    "system": hardware.system,
    "memory": hardware.memory,
    "processors": hardware.processors,
    "disk": hardware.disk,
    "SD card": hardware.card,
    "memory cgroup": system.memory_cgroup,
    "swap": system.swap,
    "clock": system.clock,
    "host name": siblings.host_name,
    "hardware addresses": siblings.hardware_addresses,
    "machine-id": siblings.machine_id,
    "interfaces": network.interfaces,
    "resolv.conf": network.resolv_conf,
    "networks": network.networks,
    "iptables": filters.iptables,
    "firewall": filters.firewall,
    "ports": clusters.ports,
    "earlier cluster": clusters.earlier_cluster,
    "control plane": reach.control_plane,
    "package servers": reach.package_servers,
    "registries": reach.registries,
}


def judge(node: Node, desk: Desk) -> list[Row]:
    """
    A row for each check that has to do with a node.

    + desk: all hosts of this run that could be looked at, this one too
    """
    if node.found.sudo:
        user = node.wanted.user
        return [
            Row(
                "failure",
                f"{user} has to give a password ({node.found.sudo}): on the node, `echo '{user} "
                f"ALL=(ALL) NOPASSWD: ALL' | sudo tee /etc/sudoers.d/010_{user}-nopasswd`; the "
                "other checks need it",
                "sudo",
            )
        ]
    rows = [Row("OK", "without a password", "sudo")]
    for name, check in CHECKS.items():
        try:
            verdict = check(node, desk)
        except HostFailure as reason:  # as the operation would, that meets it later
            verdict = failure(str(reason))
        except Unread:
            why = "; ".join(node.found.unread.values()) or "no reason given"
            verdict = warning(f"could not be looked at: {why}")
        except Exception as error:  # its own node's alone: others tell of it, and go on
            verdict = failure(explain(error)[0])
        if verdict is not None:
            rows.append(Row(verdict.status, verdict.words, name))
    return rows
