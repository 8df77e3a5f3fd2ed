"""Preflight checks: what is wrong with a node, and its remedy, before anything is changed."""

from pyinfra import host, inventory

import settings
from operations import preflight
from operations.kubeadm.acting import acting
from settings import specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)
asked = acting(cluster.control_plane)
alone = host.current_deploy_name is None  # not included by cluster.py

preflight.gather(name="Gather facts", **specifications.preflight(cluster, node, asked))
preflight.check(name="Preflight checks", show_all=alone)
