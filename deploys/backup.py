"""Back up the cluster to this computer; from another node's copy if no control plane can."""

from pyinfra import host, inventory

import settings
from operations import backup, base
from settings import specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)

if node.role == "control_plane":
    backup.taken(name="Backup", **specifications.backup(cluster))

base.depends_on(name="Backup done", other=None)

if node.name == cluster.backup_to:
    backup.fetched(
        name="Newest copy",
        control_planes=specifications.addresses_of_control_planes(cluster),
        storage=specifications.backup_storage(cluster),
    )
