"""Show all certificates of Kubernetes, and renew those that expire soon or have expired."""

from pyinfra import host, inventory

import settings
from operations import base, certificates, kubeconfig, nodes
from settings import specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)
first = cluster.first_control_plane

for each in host.loop(cluster.control_plane):
    if node == each:
        certificates.control_plane(
            name=f"Certificates of {each.name}",
            node=node.name,
            user=node.admin_user,
            renew_days=cluster.renew_days,
            kubeconfig_path=str(cluster.kubeconfig),
            context=cluster.kube_context if node == first else "",
            **specifications.control_planes(cluster),
        )
        kubeconfig.admin(name=f"kubeconfig for {node.admin_user}", user=node.admin_user)
    base.depends_on(name=f"{each.name} done", other=each.name)

if node == first:
    kubeconfig.operator(name="kubeconfig context", **specifications.context(cluster))

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
