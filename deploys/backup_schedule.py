"""Backups that control planes make daily, with copies on another node; if that is set."""

from pyinfra import host, inventory

import settings
from operations import base
from operations.backup import schedule
from settings import specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)
makers = specifications.backup_makers(cluster)
only = next(iter(makers)) if len(makers) == 1 else None

if cluster.backup_schedule != "off":
    if node.name in makers and cluster.backup_to:
        schedule.sender_key(name="Key for copies of backups")

    base.depends_on(name="Key done", other=only)

    if node.name == cluster.backup_to:
        schedule.receiver(name="Copies of backups", senders=makers, newest=cluster.backup_newest)

    base.depends_on(name="Copies done", other=None)

    if node.name in makers:
        schedule.schedule(name="Backup schedule", **specifications.backup_schedule(cluster))
