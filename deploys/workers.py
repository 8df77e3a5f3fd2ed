"""The workers join the head's cluster; then all nodes are Ready, with their labels."""

from pyinfra import host, inventory

import settings
from operations import base, kubeadm, nodes
from settings import kubernetes, specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)
head = cluster.head.name

base.depends_on(name="The control plane is there", other=head)

if node.role == "worker":
    kubeadm.join(name="Join the cluster", head=head, **specifications.registration(cluster, node))

base.depends_on(name="The workers have joined", other=None)

if node.role == "head":
    nodes.ready(
        name="All nodes are Ready",
        names=[each.name for each in cluster.nodes],
        seconds=cluster.nodes_ready_seconds,
    )
    nodes.marks(
        name="Labels, and where pods may run",
        labels=kubernetes.labels(cluster),
        control_planes=[head],
        schedulable=cluster.pods_on_head,
    )
