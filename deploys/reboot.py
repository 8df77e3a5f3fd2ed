"""Reboot the nodes that need it, one at a time; all of them with `--data reboot=all`."""

from pyinfra import host, inventory

import settings
from operations import reboot, rollout
from settings import specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)

reboot.needed(name="Reboot needed", always=settings.options().get("reboot") == "all")
rollout.prepared(name="Cluster ready", **specifications.rollout(cluster, "deploys/reboot.py"))

for each in host.loop(cluster.nodes):
    if node == each:
        rollout.drained(name=f"Drain {each.name}")
        reboot.rebooted(name=f"Reboot {each.name}")
        rollout.returned(name=f"{each.name} Ready")
    rollout.done(name=f"{each.name} done", node=each.name)
