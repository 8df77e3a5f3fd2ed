"""The control plane, made by kubeadm, and the pod network."""

from pyinfra import host, inventory

import settings
from operations import flannel, kubeadm, kubeconfig
from settings import kubernetes, specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)

if node == cluster.first_control_plane:
    kubeadm.init(
        name="The control plane",
        wanted_version=cluster.kubernetes_version,
        repository=kubernetes.repository(cluster),
        **specifications.control_plane(cluster),
        **specifications.registration(cluster, node),
    )
    kubeconfig.admin(name=f"kubectl for {node.admin_user}", user=node.admin_user)
    flannel.flannel(
        name="The pod network",
        url=cluster.flannel_manifest,
        checksum=cluster.flannel_checksum,
        folder=str(cluster.desk / ".cluster" / "downloads"),
        pod_network=str(cluster.pod_network),
        interface=node.cluster_interface,
        seconds=cluster.pod_network_seconds,
    )
