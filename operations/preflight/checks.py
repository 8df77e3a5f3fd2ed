"""All checks, in the order in which they are shown."""

from __future__ import annotations

from messages import preflight as messages
from operations.base import HostFailure
from operations.preflight import firewall, kubernetes, machine, network, uniqueness
from operations.preflight.node import Node, Nodes, Unread
from operations.preflight.results import Check, Result, failure, ok, warning
from runs.failures import explain

CHECKS: dict[str, Check] = {
    "other runs": machine.other_runs,
    "same machine": uniqueness.same_machine,
    "architecture": machine.architecture,
    "system": machine.system,
    "memory": machine.memory,
    "processors": machine.processors,
    "disk": machine.disk,
    "SD card": machine.write_latency,
    "memory cgroup": machine.memory_cgroup,
    "swap": machine.swap,
    "clock": machine.clock,
    "host name": uniqueness.hostname,
    "hardware addresses": uniqueness.hardware_addresses,
    "machine-id": uniqueness.machine_id,
    "interfaces": network.interfaces,
    "resolv.conf": network.resolv_conf,
    "networks": network.overlaps,
    "iptables": firewall.iptables,
    "firewall": firewall.firewall,
    "ports": kubernetes.ports,
    "earlier cluster": kubernetes.earlier_cluster,
    "control plane": network.control_plane,
    "control plane address": network.common_address,
    "package servers": network.package_servers,
    "registries": network.registries,
}


def check(node: Node, nodes: Nodes) -> dict[str, Result]:
    """
    Run all checks on what was gathered from a node, and return their results by name.

    + nodes: all hosts of this run that could be read, this one too
    """
    if node.sudo:
        user, reason = node.desired.user, node.sudo
        return {"sudo": failure(messages.SUDO_PASSWORD(user=user, reason=reason))}
    results = {"sudo": ok("without a password")}
    for name, function in CHECKS.items():
        try:
            result = function(node, nodes)
        except HostFailure as error:  # raised by the code that an operation uses too
            result = Result("failure", str(error))
        except Unread as error:
            result = warning(messages.UNREAD(reason=str(error)))
        except Exception as error:  # a mistake in a check must not stop the other hosts
            result = Result("failure", explain(error)[0])
        if result is not None:
            results[name] = result
    return results
