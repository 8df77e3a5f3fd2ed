"""kubeadm init, kubectl for the admin user, the pod network; kubeadm join on control planes."""

from pyinfra import host, inventory

import settings
from operations import base, flannel, keepalived, kube_proxy, kubeadm, kubeconfig
from operations.kubeadm import certificate_names, control_planes
from operations.kubeadm.acting import acting
from settings import kubernetes, specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)
first, *others = cluster.control_plane
asked = acting(cluster.control_plane)

if node != first and not cluster.image_archives:
    kubeadm.images(
        name="Images for pods",
        image_repository=cluster.image_repository,
        **specifications.flannel_manifest(cluster),
    )
if node.role == "control_plane" and cluster.control_plane_address:
    # kubeadm init reaches the API server at this address.
    keepalived.address(
        name="Control plane address",
        **specifications.control_plane_address(cluster, node),
    )
if node.role == "control_plane":
    certificate_names.certified(
        name="API server certificate", **specifications.certificate(cluster, node)
    )
if node == first:
    kubeadm.init(
        name="kubeadm init",
        kubernetes_version=cluster.kubernetes_version,
        repository=kubernetes.repository(cluster),
        **specifications.control_plane(cluster),
        **specifications.registration(cluster, node),
        others={each.name: str(each.address) for each in others},
    )

if node == asked:
    kube_proxy.endpoint(name="kube-proxy", **specifications.endpoint(cluster))

# One after another: etcd takes one new member at a time. A new first one joins the others' cluster.
for each in host.loop(cluster.control_plane if others else ()):
    base.depends_on(name=f"Before {each.name}", other=asked.name)
    if node == each:
        control_planes.join(
            name=f"kubeadm join {each.name}",
            replaces=settings.options().get("replace") == node.name,
            **specifications.other_control_planes(cluster, node),
            **specifications.registration(cluster, node),
        )

if node.role == "control_plane":
    kubeconfig.admin(name=f"kubeconfig for {node.admin_user}", user=node.admin_user)
if node == asked:
    flannel.flannel(name="Pod network (flannel)", **specifications.flannel(cluster, node))
