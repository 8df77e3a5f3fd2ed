"""The network of each node as it was before its last confirmed change. Twice: as it is now."""

from typing import Literal

from pyinfra import host, inventory

import settings
from operations import base, guard, undo

cluster = settings.of(inventory)
node = cluster.node(host.name)


def undone(turn: Literal["first", "last"] | None = None) -> None:
    when = {"first": ", before the others", "last": ", after the others", None: ""}[turn]
    with guard.change(f"The network, confirmed or taken back{when}", cluster.guard_seconds):
        undo.last_change(name=f"The network as it was before the last change{when}", turn=turn)


# The other nodes resolve names through the gateway: it is undone after them while it does NAT, and
# before them while it does not.
if cluster.is_gateway(node):
    undone("first")

base.depends_on(name="Gateway done", other=cluster.gateway_of(node))

if not cluster.is_gateway(node):
    undone()

base.depends_on(name="Others done", other=None)

if cluster.is_gateway(node):
    undone("last")
