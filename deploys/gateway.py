"""IP forwarding and NAT on the gateway, for all other nodes. Topology "nat" only."""

from pyinfra import host, inventory

import settings
from formats import shared_downloads
from operations import guard, iptables, sysctl
from settings import kubernetes

cluster = settings.of(inventory)
node = cluster.node(host.name)

if cluster.is_gateway(node):
    network, inner, outer = (
        cluster.cluster_network,
        node.cluster_interface,
        cluster.uplink_interface,
    )

    rules = [
        f"-t nat -A POSTROUTING -s {network} -o {outer} -j MASQUERADE",
        f"-A FORWARD -i {inner} -o {outer} -s {network} -j ACCEPT",
        f"-A FORWARD -i {outer} -o {inner} -d {network}"
        " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ]
    # The operator's kubectl reaches control planes at the gateway's address.
    for port, address in kubernetes.forwarded_ports(cluster).items():
        rules += [
            f"-t nat -A PREROUTING -i {outer} -d {node.uplink_address} -p tcp --dport {port}"
            f" -j DNAT --to-destination {address}:{port}",
            f"-A FORWARD -i {outer} -o {inner} -d {address} -p tcp --dport {port} -j ACCEPT",
        ]

    if cluster.download_cache == node:
        rules.append(f"-A INPUT -i {outer} -p tcp --dport {shared_downloads.PORT} -j DROP")

    sysctl.settings(
        name="IP forwarding",
        values={"net.ipv4.ip_forward": 1},
        path="/etc/sysctl.d/60-bramble-forward.conf",
    )
    with guard.change("Apply network changes", cluster.guard_seconds):
        iptables.ruleset(name="NAT rules", rules=rules)
