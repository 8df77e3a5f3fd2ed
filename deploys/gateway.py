"""The head as the workers' way out: it forwards and translates addresses. For a switch alone."""

from pyinfra import host, inventory

import settings
from operations import guard, iptables, sysctl

cluster = settings.of(inventory)
node = cluster.node(host.name)

if cluster.topology == "nat" and node.role == "head":
    inner, outer = node.cluster_interface, cluster.uplink_interface

    sysctl.settings(
        name="Forward between the interfaces, now and at every boot",
        values={"net.ipv4.ip_forward": 1},
        path="/etc/sysctl.d/60-bramble-forward.conf",
    )

    with guard.change("The gateway, confirmed or taken back", cluster.guard_seconds):
        iptables.ruleset(
            name="Translate the workers' addresses, now and at every boot",
            rules=[
                f"-t nat -A POSTROUTING -s {cluster.cluster_network} -o {outer} -j MASQUERADE",
                f"-A FORWARD -i {inner} -o {outer} -s {cluster.cluster_network} -j ACCEPT",
                f"-A FORWARD -i {outer} -o {inner} -d {cluster.cluster_network}"
                " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            ],
        )
