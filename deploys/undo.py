"""The network of each node as it was before its last confirmed change. Twice: as it is now."""

from typing import Literal

from pyinfra import host, inventory

import settings
from operations import base, guard, undo

cluster = settings.of(inventory)
node = cluster.node(host.name)


def undone(turn: Literal["first", "last"] | None = None) -> None:
    when = {"first": ", before the workers", "last": ", after the workers", None: ""}[turn]
    with guard.change(f"The network, confirmed or taken back{when}", cluster.guard_seconds):
        undo.last_change(name=f"The network as it was before the last change{when}", turn=turn)


# The workers resolve names through the head: it is undone after them while it does NAT, and before
# them while it does not.
if node.role == "head":
    undone("first")

base.depends_on(name="The head is done", other=cluster.way_out(node))

if node.role == "worker":
    undone()

base.depends_on(name="The workers are done", other=None)

if node.role == "head":
    undone("last")
