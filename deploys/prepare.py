"""What kubeadm requires of a node: no swap, kernel modules and parameters, memory cgroup, clock."""

from pyinfra import host, inventory

import settings
from operations import architecture, base, cgroup, clock, machine_id, modules, swap, sysctl

cluster = settings.of(inventory)
node = cluster.node(host.name)

architecture.supported(name="Supported system")
machine_id.unique(name="Unique machine-id")
clock.synchronized(name="Time synchronization")
swap.off(name="Swap off")
modules.loaded(name="Kernel modules", names=["overlay", "br_netfilter"])
sysctl.settings(
    name="Kernel parameters",
    values={
        "net.bridge.bridge-nf-call-iptables": 1,
        "net.bridge.bridge-nf-call-ip6tables": 1,
        "net.ipv4.ip_forward": 1,
    },
    path="/etc/sysctl.d/60-bramble-kubernetes.conf",
)

# Enabling the cgroup reboots the node. The gateway first: its reboot cuts off the other nodes.
if cluster.is_gateway(node):
    cgroup.memory(name="Memory cgroup", required=cluster.memory_cgroup)
base.depends_on(name="Gateway done", other=cluster.gateway_of(node))
if not cluster.is_gateway(node):
    cgroup.memory(name="Memory cgroup", required=cluster.memory_cgroup)
