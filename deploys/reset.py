"""Delete the whole cluster, the workers first; the nodes are prepared for a new one afterwards."""

from pyinfra import host, inventory

import settings
from operations import backup, base, contexts, removals, teardown
from settings import specifications

cluster = settings.of(inventory)
node = cluster.node(host.name)
options = settings.options()
confirmation = {"cluster": cluster.kube_context, "yes": options.get("yes")}

if node.role == "control_plane":
    backup.offered(
        name="Last backup",
        answer=options.get("backup"),
        confirmed="yes" in options,
        **specifications.backup(cluster),
    )

base.depends_on(name="Last backup done", other=None)

if node.role == "worker":
    teardown.reset(name="kubeadm reset", **confirmation)

base.depends_on(name="Workers done", other=None)

# One after another: each takes its member out of etcd, while another one has the address.
for each in host.loop(cluster.control_plane[:0:-1]):
    if node == each:
        removals.of_control_plane(name=f"Units of {each.name}", **confirmation)
        teardown.reset(name=f"kubeadm reset {each.name}", user=node.admin_user, **confirmation)
    base.depends_on(name=f"{each.name} done", other=None)

if node == cluster.first_control_plane:
    teardown.reset(name="kubeadm reset", user=node.admin_user, **confirmation)
    removals.of_control_plane(name="Units of a control plane", **confirmation)
    contexts.removed(
        name="kubeconfig contexts",
        record=str(cluster.record),
        path=str(cluster.kubeconfig),
        contexts=[],
        whole=True,
    )
