"""Who: the nodes by name, and their addresses. What they get is in group_data/.

A node may also have:
+ uplink_address: its address on the network in front of the cluster (the head, with topology "nat")
+ first_address: where it answers until the first deploy (from DHCP, say), when that differs
"""

head = [
    ("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"}),
]

workers = [
    ("node2", {"address": "192.168.2.12"}),
    ("node3", {"address": "192.168.2.13"}),
]

# All of it is checked, and .cluster/ readied (keys, ssh_config), before the first connection.
import settings as _settings  # noqa: E402

_settings.prepare(__file__)
