"""Undo each node's last confirmed network change. A second run does the change again."""

from typing import Literal

from pyinfra import host, inventory

import settings
from operations import base, guard, undo

cluster = settings.of(inventory)
node = cluster.node(host.name)


def undone(turn: Literal["first", "last"] | None = None) -> None:
    when = {"first": " (before the others)", "last": " (after the others)", None: ""}[turn]
    with guard.change(f"Apply network changes{when}", cluster.guard_seconds):
        undo.last_change(name=f"Previous network{when}", turn=turn)


# The other nodes resolve names through the gateway: while it does NAT it is undone after them, and
# before them while it does not. With topology "router" it may still be undone to doing NAT.
may_be_gateway = node.uplink_address is not None

if may_be_gateway:
    undone("first")

base.depends_on(name="Gateway done", other=cluster.gateway_of(node))

if not may_be_gateway:
    undone()

base.depends_on(name="Others done", other=None)

if may_be_gateway:
    undone("last")
