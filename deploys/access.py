"""kubectl on the operator's computer: a kubeconfig context, and `kubectl proxy` if enabled."""

from pyinfra import host, inventory

import settings
from operations import kubeconfig, kubectl_proxy
from operations.kubeadm.acting import acting
from settings import kubernetes, specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)

if node == acting(cluster.control_plane):
    kubeconfig.operator(name="kubeconfig context", **specifications.context(cluster))
if node == cluster.first_control_plane:
    kubectl_proxy.service(
        name="kubectl proxy",
        **specifications.kubectl_proxy(cluster),
        present=cluster.kubectl_proxy,
    )
    kubeconfig.proxy(
        name="kubeconfig context for kubectl proxy",
        path=str(cluster.kubeconfig),
        context=kubernetes.proxy_context(cluster),
        server=kubernetes.proxy_url(cluster),
        record=str(cluster.record),
        present=cluster.kubectl_proxy,
    )
