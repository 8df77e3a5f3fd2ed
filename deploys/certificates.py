"""Show all certificates of Kubernetes, and renew those that expire soon or have expired."""

from pyinfra import host, inventory

import settings
from operations import base, certificates, kubeconfig, nodes
from settings import specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)
first = cluster.first_control_plane

if node == first:
    certificates.control_plane(
        name="Control plane certificates",
        node=node.name,
        user=node.admin_user,
        renew_days=cluster.renew_days,
        kubeconfig_path=str(cluster.kubeconfig),
        context=cluster.kube_context,
    )
    kubeconfig.admin(name=f"kubeconfig for {node.admin_user}", user=node.admin_user)
    kubeconfig.operator(name="kubeconfig context", **specifications.context(cluster))

base.depends_on(name="Control plane done", other=first.name)

if node.role == "worker":
    certificates.worker(
        name="Kubelet certificates",
        node=node.name,
        control_plane=first.name,
        renew_days=cluster.renew_days,
    )

base.depends_on(name="Workers done", other=None)

if node == first:
    nodes.ready(name="Nodes Ready", **specifications.readiness(cluster))
