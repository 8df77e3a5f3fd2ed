"""Delete the whole cluster, the workers first; the nodes are prepared for a new one afterwards."""

from pyinfra import host, inventory

import settings
from operations import base, contexts, kubectl_proxy, teardown
from settings import specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)
confirmation = {"cluster": cluster.kube_context, "yes": settings.options().get("yes")}

if node.role == "worker":
    teardown.reset(name="kubeadm reset", **confirmation)

base.depends_on(name="Workers done", other=None)

if node == cluster.first_control_plane:
    teardown.reset(name="kubeadm reset", user=node.admin_user, **confirmation)
    kubectl_proxy.service(
        name="kubectl proxy",
        **specifications.kubectl_proxy(cluster),
        present=False,
    )
    contexts.removed(
        name="kubeconfig contexts",
        record=str(cluster.record),
        path=str(cluster.kubeconfig),
        contexts=[],
        whole=True,
    )
