"""Remove one node from the cluster: `--data node=node3`; its packages with `packages=purge`."""

from pyinfra import host, inventory, local

import settings
from operations import base, packages, removals, teardown
from operations.kubeadm.acting import acting
from operations.nodes import departure
from settings import specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)
removal = settings.requested_removal()
stay = [each for each in cluster.control_plane if each != removal.node]
asked = acting(stay)
leaving = {
    "node": removal.node.name,
    "control_planes": {each.name: str(each.address) for each in stay},
}
is_control_plane = removal.node.role == "control_plane"

if node == asked:
    departure.drained(
        name="Drain",
        **leaving,
        address=str(removal.node.address),
        seconds=cluster.drain_seconds,
        lines=removal.lines,
        is_control_plane=is_control_plane,
    )

base.depends_on(name="Drain done", other=asked.name)

if is_control_plane:
    if node == removal.node:
        removals.of_control_plane(name="Units of a control plane")
    base.depends_on(name="Units done", other=asked.name)
    if node == asked:
        departure.left_etcd(
            name="etcd", **leaving, address=str(removal.node.address), yes=removal.yes
        )
    base.depends_on(name="etcd done", other=asked.name)

if node == removal.node:
    user = node.admin_user if is_control_plane else ""
    teardown.reset(name="kubeadm reset", user=user, drained_by=asked.name)
    if removal.purge:
        packages.purged(name="Kubernetes packages", version=cluster.kubernetes_version)
        local.include("deploys/gateway.py")  # which stays, for the other nodes
        removals.rest(
            name="Files of bramble",
            **{**specifications.whole_run(cluster), "whole": True, "take_over": node.name},
        )

base.depends_on(name="Node reset", other=None)

if node == asked:
    departure.deleted(name="Node in the cluster", **leaving, yes=removal.yes)
