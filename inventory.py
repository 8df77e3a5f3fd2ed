"""The nodes of the cluster and their addresses. Their settings are in group_data/.

+ control_plane: one, three or five nodes; workers: any number
+ address: on the cluster network; every node has one
+ uplink_address: on the network in front of the cluster. With topology "nat" exactly one node has
  one: the gateway, which routes for all others. It may be the control plane or a worker. With
  topology "router" no node has one
+ first_address: where a node answers until its first deploy (from DHCP, for example), if elsewhere
"""

control_plane = [
    ("node1", {"address": "192.168.2.11", "uplink_address": "192.168.1.32"}),
]

workers = [
    ("node2", {"address": "192.168.2.12"}),
    ("node3", {"address": "192.168.2.13"}),
]

# Check all settings and prepare .cluster/ (keys, ssh_config) before the first connection.
import settings as _settings  # noqa: E402

_settings.prepare(__file__)
