"""The network of each node as it was before its last confirmed change. Twice: as it is now."""

from pyinfra import host, inventory

import settings
from operations import base, guard, undo

cluster = settings.of(inventory)
node = cluster.node(host.name)


def undone() -> None:
    with guard.change("The network, confirmed or taken back", cluster.guard_seconds):
        undo.last_change(name="The network as it was before the last change")


# In the other order: while the head still leads out the workers, which are asked for names.
if node.role == "worker":
    undone()

base.depends_on(name="The workers are done", other=None)

if node.role == "head":
    undone()
