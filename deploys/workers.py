"""kubeadm join on the workers; then all nodes Ready, with their labels, taints and DNS."""

from pyinfra import host, inventory

import settings
from operations import base, coredns, kubeadm, nodes
from operations.kubeadm import leftovers
from operations.kubeadm.acting import acting
from settings import kubernetes, specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)
first = acting(cluster.control_plane)

base.depends_on(name="Control plane done", other=first.name)

if node.role == "worker":
    kubeadm.join(
        name="kubeadm join",
        control_plane=first.name,
        replaces=settings.options().get("replace") == node.name,
        **specifications.registration(cluster, node),
    )

base.depends_on(name="Workers done", other=None)

if node == first:
    leftovers.deleted(name="Join credentials of earlier runs", whole=settings.is_whole())
    nodes.ready(name="Nodes Ready", **specifications.readiness(cluster))
    nodes.labels_and_taints(
        name="Node labels and taints", **specifications.labels_and_taints(cluster)
    )
    if len(cluster.control_plane) > 1:
        coredns.spread(name="CoreDNS on several nodes")
elif node.role == "control_plane":
    nodes.labels_kept(name="Labels of another control plane", labels=kubernetes.labels(cluster))
