"""Remove one worker from the cluster: `--data node=node3`; its packages with `packages=purge`."""

from pyinfra import host, inventory, local

import settings
from operations import base, packages, removals, teardown
from operations.nodes import departure
from settings import specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)
first = cluster.first_control_plane
removal = settings.requested_removal()

if node == first:
    departure.drained(
        name="Drain",
        node=removal.node.name,
        seconds=cluster.drain_seconds,
        line=removal.line,
    )

base.depends_on(name="Drain done", other=first.name)

if node == removal.node:
    teardown.reset(name="kubeadm reset", drained_by=first.name)
    if removal.purge:
        packages.purged(name="Kubernetes packages", version=cluster.kubernetes_version)
        local.include("deploys/gateway.py")  # which stays, for the other nodes
        removals.rest(
            name="Files of bramble",
            **{**specifications.whole_run(cluster), "whole": True, "take_over": node.name},
        )

base.depends_on(name="Node reset", other=None)

if node == first:
    departure.deleted(name="Node in the cluster", node=removal.node.name, yes=removal.yes)
