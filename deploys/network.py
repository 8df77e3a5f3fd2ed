"""Host names, addresses, routes and DNS: the gateway first, since the others depend on it."""

from pyinfra import host, inventory, local
from pyinfra.api import HiddenValue

import settings
from operations import (
    base,
    guard,
    hosts,
    interfaces,
    iptables,
    keepalived,
    removals,
    resolv_conf,
)
from settings import specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)


def network() -> None:
    hosts.entries(name="/etc/hosts", entries=cluster.host_names, own_name=node.name)
    hosts.hostname(name="Hostname", hostname=node.name)

    with guard.change("Apply network changes", cluster.guard_seconds):
        local.include("deploys/gateway.py")

        for interface in host.loop(cluster.interfaces(node)):
            psk = cluster.wifi_psk() if interface.wifi else None
            interfaces.interface(
                name=f"Interface {interface.name}",
                **specifications.interface(interface),
                start="both",
                **(specifications.access_point(cluster) if interface.wifi else {}),
                wifi_psk=HiddenValue(psk.get_secret_value()) if psk else None,
                post_up=[iptables.post_up()] if interface.nat else [],
                new_address=str(cluster.connect_address(node)) if interface.reached else None,
            )

        resolv_conf.resolver(name="DNS resolver", **specifications.resolver(cluster, node))
        removals.network(name="Network removals", **specifications.whole_run(cluster))


# /etc/hosts will lead to this address: in a cluster that runs, a control plane holds it before.
if cluster.control_plane_address:
    if node.role == "control_plane":
        keepalived.address(
            name="Control plane address (before /etc/hosts)",
            **specifications.control_plane_address(cluster, node),
            beside_api_server=True,
        )
    base.depends_on(name="Control plane address done", other=None)

if cluster.is_gateway(node):
    network()

base.depends_on(name="Gateway done", other=cluster.gateway_of(node))

# Before the other nodes install their first package.
local.include("deploys/shared_downloads.py")

if not cluster.is_gateway(node):
    network()

guard.after_others(name="Apply network changes (after the others)", seconds=cluster.guard_seconds)
