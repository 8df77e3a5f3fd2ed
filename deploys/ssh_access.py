"""SSH without passwords: the operator's key for the admin user."""

from pyinfra import host, inventory

import settings
from operations import authorized_keys

cluster = settings.of(inventory)
node = cluster.node(host.name)

authorized_keys.key(
    name="Let the operator in by key",
    user=node.admin_user,
    keys=settings.operator_public_key(cluster),
)
