"""Nodes made ready for Kubernetes: no swap, kernel modules and settings, memory cgroup, clock."""

from pyinfra import host, inventory

import settings
from operations import architecture, base, cgroup, clock, machine_id, modules, swap, sysctl

cluster = settings.of(inventory)
node = cluster.node(host.name)

architecture.supported(name="A 64-bit Debian")
machine_id.unique(name="A machine-id of its own")
clock.synchronised(name="A clock that is right")
swap.off(name="No swap, now and at every boot")
modules.loaded(name="Kernel modules, now and at every boot", names=["overlay", "br_netfilter"])
sysctl.settings(
    name="Kernel settings, now and at every boot",
    values={
        "net.bridge.bridge-nf-call-iptables": 1,
        "net.bridge.bridge-nf-call-ip6tables": 1,
        "net.ipv4.ip_forward": 1,
    },
    path="/etc/sysctl.d/60-bramble-kubernetes.conf",
)

# The memory cgroup may cost a reboot; the gateway's cuts off the other nodes, so it goes first.
if cluster.is_gateway(node):
    cgroup.memory(name="The kernel's memory cgroup", required=cluster.memory_cgroup)
base.depends_on(name="Gateway done", other=cluster.gateway_of(node))
if not cluster.is_gateway(node):
    cgroup.memory(name="The kernel's memory cgroup", required=cluster.memory_cgroup)
