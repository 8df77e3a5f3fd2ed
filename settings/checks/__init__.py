"""What the settings must agree on, within a node and across the cluster: one function a rule.

A check yields the mistakes that it finds. It may meet a cluster that lacks what could not be
parsed: reading such an attribute ends the check (see `settings.build`).
"""

from __future__ import annotations

from settings.checks import images, inventory, network, secrets
from settings.checks.draft import HEAD_ONLY, HOST_DATA, Check, Draft

__all__ = ["CHECKS", "HEAD_ONLY", "HOST_DATA", "Check", "Draft"]

CHECKS: tuple[Check, ...] = (
    inventory.names,
    inventory.endpoint,
    inventory.listed_once,
    inventory.in_one_group,
    inventory.placed,
    inventory.one_head,
    inventory.known_settings,
    inventory.known_groups,
    inventory.same_everywhere,
    network.node_addresses,
    network.uplink_address,
    network.uplink_is_the_heads,
    network.router,
    network.uplink_gateway,
    network.distinct_addresses,
    network.separate_networks,
    network.separate_interfaces,
    network.nameservers,
    secrets.wifi_key,
    secrets.wifi_country,
    secrets.private_key,
    images.checksum,
)
