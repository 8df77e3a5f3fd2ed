"""A look at every node, before anything is changed: what is wrong with it, and the remedy."""

from pyinfra import host, inventory

import settings
from operations import preflight
from settings import specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)
alone = host.current_deploy_name is None  # not a part of cluster.py

preflight.look(name="Look at every node", **specifications.preflight(cluster, node))
preflight.judged(name="Every node is fit for a cluster", show_all=alone)
