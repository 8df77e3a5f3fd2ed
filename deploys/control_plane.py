"""kubeadm init on the control plane, kubectl for its admin user, and the pod network."""

from pyinfra import host, inventory

import settings
from operations import flannel, kubeadm, kubeconfig
from settings import kubernetes, specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)

if node == cluster.first_control_plane:
    kubeadm.init(
        name="kubeadm init",
        kubernetes_version=cluster.kubernetes_version,
        repository=kubernetes.repository(cluster),
        **specifications.control_plane(cluster),
        **specifications.registration(cluster, node),
    )
    kubeconfig.admin(name=f"kubeconfig for {node.admin_user}", user=node.admin_user)
    flannel.flannel(name="Pod network (flannel)", **specifications.flannel(cluster, node))
