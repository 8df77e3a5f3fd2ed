"""Install the updates of all packages but Kubernetes', one node at a time; reboot where needed."""

from pyinfra import host, inventory

import settings
from operations import reboot, rollout, updates
from settings import specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)
version = cluster.kubernetes_version

updates.listed(name="Updates", kubernetes_version=version)
rollout.prepared(name="Cluster ready", **specifications.rollout(cluster, "deploys/patch.py"))

for each in host.loop(cluster.nodes):
    if node == each:
        updates.fetched(name=f"Download for {each.name}")
        rollout.drained(name=f"Drain {each.name}")
        updates.installed(name=f"Updates of {each.name}", kubernetes_version=version)
        reboot.rebooted(name=f"Reboot {each.name}", if_needed=True)
        rollout.returned(name=f"{each.name} Ready")
    rollout.done(name=f"{each.name} done", node=each.name)
