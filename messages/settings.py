"""Settings: inventory.py, group_data/ and `--data`."""

from __future__ import annotations

from messages import Message

GROUP_HEAD = Message(
    "SET091",
    "the group head is now called control_plane",
    remedy="Write `control_plane = [...]` in its place.",
    meaning="The role of the head was split in two: the group `control_plane` lists the node on"
    " which Kubernetes' control plane runs, and the gateway, with topology `nat`, is the node that"
    " has an `uplink_address`. One node may be both, as in the inventory that comes with bramble.",
)
GROUP_DATA_HEAD = Message(
    "SET092",
    "there is no group head any more",
    remedy="Move its settings to group_data/all.py, and remove the file.",
    meaning="The settings of the uplink and of Wi-Fi are the cluster's: they stand in"
    " `group_data/all.py`, under the gateway.",
)
PODS_ON_HEAD = Message(
    "SET093",
    "the setting is now called pods_on_control_plane",
    remedy="Write `pods_on_control_plane = ...` in its place.",
    meaning="The setting was renamed with the group `head`, which is now `control_plane`.",
)
NO_CONTROL_PLANE = Message(
    "SET094",
    "the group control_plane has no node",
    remedy='Write control_plane = [("node1", {{"address": "192.168.2.11"}})], with your node.',
    meaning="The group `control_plane` in `inventory.py` lists the node on which `kubeadm init`"
    " makes the cluster.",
)
CONTROL_PLANE_QUORUM = Message(
    "SET095",
    "control_plane has {count} nodes ({nodes}): etcd's quorum is {quorum} of them, which tolerates"
    " {failures} failures",
    remedy="Write one, three or five nodes there (three tolerate one failure, five two), and the"
    " others in workers.",
    meaning="etcd, which stores the cluster's state, stops when less than a majority of its members"
    " is left: two tolerate no failure, and four tolerate one, as three do. More than five make"
    " each write slower.",
)
CONTROL_PLANE_SEVERAL = Message(
    "SET096",
    "control_plane has {count} nodes ({nodes}): several are not supported yet",
    remedy="Leave {first} there, and write the others in workers.",
    meaning="The deploys make a cluster with one control plane.",
)
NO_GATEWAY = Message(
    "SET097",
    'topology "nat" needs a gateway, and no node has an uplink_address',
    remedy='Write "uplink_address": "192.168.1.32" at the node with a second interface, such as'
    ' {node}; or topology = "router" in group_data/all.py.',
    meaning="With topology `nat` one node, the gateway, is on two networks: it routes for all the"
    " others, and is reached at its `uplink_address`. It may be the control plane or a worker.",
)
SEVERAL_GATEWAYS = Message(
    "SET098",
    "{nodes} have an uplink_address, and only the gateway has one",
    remedy="Remove it from all but one of them.",
    meaning="With topology `nat` exactly one node routes for the others: the one that has an"
    " `uplink_address`.",
)
