"""kubeadm join on the workers; then all nodes Ready, with their labels and taints."""

from pyinfra import host, inventory

import settings
from operations import base, kubeadm, nodes
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
    nodes.ready(name="Nodes Ready", **specifications.readiness(cluster))
    nodes.labels_and_taints(
        name="Node labels and taints", **specifications.labels_and_taints(cluster)
    )
elif node.role == "control_plane":
    nodes.labels_kept(name="Labels of another control plane", labels=kubernetes.labels(cluster))
