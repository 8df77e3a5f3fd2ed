"""The operator's SSH key for the admin user; SSH password logins off, if that is set."""

from pyinfra import host, inventory

import settings
from operations import authorized_keys, base, guard, sshd

cluster = settings.of(inventory)
node = cluster.node(host.name)


def ssh_access() -> None:
    with guard.change("Confirm SSH access", cluster.guard_seconds):
        authorized_keys.key(
            name="Admin SSH key",
            user=node.admin_user,
            keys=settings.operator_public_key(cluster),
        )
        sshd.passwords(name="SSH password logins", allowed=cluster.password_login)


# The other nodes are reached through the gateway's sshd.
if cluster.is_gateway(node):
    ssh_access()

base.depends_on(name="Gateway done", other=cluster.gateway_of(node))

if not cluster.is_gateway(node):
    ssh_access()
