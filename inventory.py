"""The nodes of the cluster, and their addresses. Their settings are in group_data/.

Each node needs its `address` on the cluster network. It may also have:
+ uplink_address: its address on the network in front of the cluster; with topology "nat" exactly
  one node, the gateway, which routes for all others: a control plane or a worker
+ first_address: where it answers until the first deploy (from DHCP, say), when that differs
"""

control_plane = [
    ("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"}),
]

workers = [
    ("node2", {"address": "192.168.2.12"}),
    ("node3", {"address": "192.168.2.13"}),
]

# Check all settings, and prepare .cluster/ (keys, ssh_config), before the first connection.
import settings as _settings  # noqa: E402

_settings.prepare(__file__)
