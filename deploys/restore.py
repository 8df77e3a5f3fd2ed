"""
Make the same cluster again from a backup: on a blank control plane, or over damaged data.

Further control planes leave the former cluster before, and join it anew afterwards.
"""

from functools import partial

from pyinfra import host, inventory, local

import settings
from operations import base, coredns, flannel, keepalived, kubeconfig, nodes, restore
from operations.kubeadm import control_planes
from settings import specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)
target = settings.restored(cluster)
others = [each for each in cluster.control_plane if each != target]

if node == target:
    restore.possible(name="Restore checks", **specifications.restore(cluster, node))

base.depends_on(name="Checks done", other=target.name)

if node.role == "control_plane":
    local.include("deploys/ssh_access.py")
    local.include("deploys/network.py")
    local.include("deploys/prepare.py")
    local.include("deploys/runtime.py")
    restore.packages_installed(
        name="Kubernetes packages",
        node=target.name,
        repository=partial(specifications.repository_of, cluster),
    )
    if cluster.control_plane_address:
        keepalived.address(
            name="Control plane address",
            **specifications.control_plane_address(cluster, node),
        )
if node == target:
    restore.copied(name="Backup on the node")

base.depends_on(name="Backup on the node done", other=target.name)

if node in others:
    restore.left(name="Former cluster left", node=target.name)

base.depends_on(name="Former cluster left by all", other=target.name)

if node == target:
    restore.restored(
        name="Control plane",
        node=node.name,
        address=str(node.address),
        user=node.admin_user,
    )
    kubeconfig.admin(name=f"kubeconfig for {node.admin_user}", user=node.admin_user)

for each in host.loop(others):
    base.depends_on(name=f"Before {each.name}", other=target.name)
    if node == each:
        control_planes.join(
            name=f"kubeadm join {each.name}",
            **specifications.other_control_planes(cluster, node),
            **specifications.registration(cluster, node),
        )
        kubeconfig.admin(name=f"kubeconfig for {node.admin_user}", user=node.admin_user)

base.depends_on(name="Control plane done", other=target.name)

if node == target:
    restore.reconciled(name="Nodes of the backup", **specifications.restored_nodes(cluster, node))
    flannel.flannel(name="Pod network (flannel)", **specifications.flannel(cluster, node))
    nodes.ready(name="Nodes Ready", **specifications.readiness(cluster))
    nodes.labels_and_taints(
        name="Node labels and taints", **specifications.labels_and_taints(cluster)
    )
    if others:
        coredns.spread(name="CoreDNS on several nodes")
if node.role == "control_plane":
    local.include("deploys/access.py")
    restore.finished(name="Backup on the node removed")

local.include("deploys/backup_schedule.py")
