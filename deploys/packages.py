"""The Kubernetes packages: kubelet, kubeadm, kubectl and the CNI plugins, at one version, held."""

from pyinfra import host, inventory

import settings
from operations import packages
from settings import kubernetes, specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)

packages.repository(name="Kubernetes apt repository", **specifications.repository(cluster))
packages.installed(
    name="Kubernetes packages",
    version=cluster.kubernetes_version,
    url=kubernetes.repository(cluster),
)
