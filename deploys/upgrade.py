"""Upgrade Kubernetes to `kubernetes_version`: the control plane, then one node after the other."""

from pyinfra import host, inventory

import settings
from operations import (
    base,
    containerd,
    flannel,
    images,
    kubeconfig,
    nodes,
    packages,
    rollout,
    upgrade,
)
from settings import kubernetes, specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)
first = cluster.first_control_plane
release = {"version": cluster.kubernetes_version, "url": kubernetes.repository(cluster)}
target = {"control_planes": [each.name for each in cluster.control_plane], **release}
ignored = {"ignore_preflight_errors": cluster.ignore_preflight_errors}

if node.role == "control_plane":
    upgrade.followed(name="Interrupted kubeadm upgrade")
upgrade.possible(name="Upgrade checks", **target)
rollout.prepared(
    name="Cluster ready",
    **specifications.rollout(cluster, "deploys/upgrade.py", reboots=False),
)

if node == first:
    upgrade.backed_up(name="Backup", **release, **specifications.backup(cluster))
base.depends_on(name="Backup done", other=first.name)

packages.repository(name="Kubernetes apt repository", **specifications.repository(cluster))
packages.upgraded(name="kubeadm package", names=["kubeadm"], **release)
if cluster.image_archives:
    images.imported(name="Preloaded images", folder=str(cluster.image_archives))
upgrade.images(name="Images", image_repository=cluster.image_repository, **target)
base.depends_on(name="Images done", other=None)

for each in host.loop(cluster.control_plane):
    if node == each:
        upgrade.applied(
            name=f"Control plane {each.name}",
            timeouts=cluster.kubeadm_timeouts,
            **specifications.control_planes(cluster),
            **target,
            **ignored,
        )
        kubeconfig.admin(name=f"kubeconfig for {node.admin_user}", user=node.admin_user)
    base.depends_on(name=f"Control plane {each.name} done", other=each.name)

if node == first:
    kubeconfig.operator(name="kubeconfig context", **specifications.context(cluster))

for each in host.loop(cluster.nodes):
    if node == each:
        if node.role == "worker":
            upgrade.node_configured(name=f"kubeadm upgrade node {each.name}", **target, **ignored)
        rollout.drained(name=f"Drain {each.name}")
        containerd.runtime(
            name=f"containerd {each.name}",
            pause_image=cluster.pause_image,
            kubernetes_version=cluster.kubernetes_version,
            **specifications.registries(cluster),
        )
        packages.upgraded(
            name=f"kubelet package {each.name}", names=["kubelet", "kubectl"], **release
        )
        upgrade.restarted(
            name=f"kubelet {each.name}",
            seconds=cluster.nodes_ready_seconds,
            **specifications.control_planes(cluster),
            **target,
        )
        rollout.returned(name=f"{each.name} Ready")
    rollout.done(name=f"{each.name} done", node=each.name)

if node == first:
    flannel.flannel(name="Pod network (flannel)", **specifications.flannel(cluster, node))
    nodes.ready(name="Nodes Ready", **specifications.readiness(cluster))
    upgrade.compared(name="Versions", **target)
