"""The workers join the cluster; then all nodes are Ready, with their labels."""

from pyinfra import host, inventory

import settings
from operations import base, kubeadm, nodes
from settings import kubernetes, specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)
first = cluster.first_control_plane

base.depends_on(name="Control plane done", other=first.name)

if node.role == "worker":
    kubeadm.join(
        name="Join the cluster",
        control_plane=first.name,
        **specifications.registration(cluster, node),
    )

base.depends_on(name="Workers done", other=None)

if node == first:
    nodes.ready(
        name="All nodes are Ready",
        names=[each.name for each in cluster.nodes],
        seconds=cluster.nodes_ready_seconds,
    )
    nodes.marks(
        name="Labels, and where pods may run",
        labels=kubernetes.labels(cluster),
        control_planes=[each.name for each in cluster.control_plane],
        schedulable=cluster.pods_on_control_plane,
    )
