"""A look at every node, before anything is changed: what is wrong with it, and the remedy."""

from pyinfra import host, inventory

import settings
from operations import preflight
from settings import specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)
alone = host.current_deploy_name is None  # not included by cluster.py

preflight.gather(name="Gather facts", **specifications.preflight(cluster, node))
preflight.check(name="Preflight checks", show_all=alone)
