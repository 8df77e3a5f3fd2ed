"""Remove what earlier settings made on the nodes and the present ones no longer have."""

from pyinfra import host, inventory

import settings
from operations import contexts, removals
from operations.kubeadm.acting import acting
from settings import kubernetes, specifications

cluster = settings.of(inventory)
run = specifications.whole_run(cluster)

removals.rest(name="Removals", **run)

if cluster.node(host.name) == acting(cluster.control_plane):
    contexts.removed(
        name="Former kubeconfig contexts",
        record=run["record"],
        path=str(cluster.kubeconfig),
        contexts=kubernetes.contexts(cluster),
        whole=run["whole"],
        settings=run["settings"],
    )
