"""Remove what earlier settings made on the nodes and the present ones no longer have."""

from pyinfra import host, inventory

import settings
from operations import contexts, removals
from settings import kubernetes, specifications

cluster = settings.of(inventory)

removals.rest(name="Removals", **specifications.whole_run(cluster))

if cluster.node(host.name) == cluster.first_control_plane:
    contexts.removed(
        name="Former kubeconfig contexts",
        record=str(cluster.record),
        path=str(cluster.kubeconfig),
        contexts=kubernetes.contexts(cluster),
        whole=settings.is_whole(),
    )
