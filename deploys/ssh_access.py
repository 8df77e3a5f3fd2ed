"""SSH without passwords: the operator's key for the admin user; and no passwords, where wanted."""

from pyinfra import host, inventory

import settings
from operations import authorized_keys, base, guard, sshd

cluster = settings.of(inventory)
node = cluster.node(host.name)


def ssh_access() -> None:
    with guard.change("The way in, confirmed or taken back", cluster.guard_seconds):
        authorized_keys.key(
            name="Let the operator in by key",
            user=node.admin_user,
            keys=settings.operator_public_key(cluster),
        )
        sshd.passwords(name="Passwords over SSH", allowed=cluster.password_login)


# The other nodes are reached through the gateway's sshd.
if cluster.is_gateway(node):
    ssh_access()

base.depends_on(name="Gateway done", other=cluster.gateway_of(node))

if not cluster.is_gateway(node):
    ssh_access()
