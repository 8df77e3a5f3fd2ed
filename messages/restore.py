"""Restore: the same cluster again from a backup."""

from __future__ import annotations

from messages import Message

OTHER_CLUSTER = Message("""RES001
    {backup} is a backup of another cluster: {reason}
    Remedy: Use a backup of this cluster (`make backups` lists them), with `--data backup=FILE`; or
    the inventory and the group_data/ of the cluster that it is of.
    Meaning: A backup has the name of its cluster, name and address of its control plane, and the
    cluster's certificate authority. The other nodes, or else the control plane or the kubeconfig of
    this computer, know the authority of their cluster. Nothing was changed.""")
NEWER_VERSION = Message("""RES002
    the backup is of Kubernetes {observed}, which is newer than {desired}
    Remedy: Set kubernetes_version = "{minor}" in group_data/all.py, and run the same command again.
    Meaning: The version of the backup is installed, so the settings may have that or a later one.
    Nothing was changed.""")
ALIVE = Message("""RES003
    the control plane {node} is alive and healthy
    Remedy: Leave it; or, if its state is to be replaced by that of the backup all the same, add
    `--data healthy=replace`.
    Meaning: Everything that changed in the cluster since the backup would be lost, and nothing
    seems to be broken. Nothing was changed.""")
NOT_CONFIRMED = Message("""RES004
    {cluster} was not restored: that was not confirmed
    Remedy: Type the name of the cluster when you are asked, or add `--data yes={cluster}`.
    Meaning: What changed since the backup is lost. Nothing was changed.""")
NOT_COPIED = Message("""RES005
    the backup could not be put on the node: {reason}
    Remedy: Correct that (`df -h /var` on the node shows how much space there is), then run the same
    command again.
    Meaning: It is unpacked on the node in /var/lib/bramble/restore, for root alone, and removed
    when the restore is done.""")
NOT_RESTORED = Message("""RES006
    the snapshot of etcd was not restored: {reason}
    Remedy: Correct that and run the same command again, or use an older backup with
    `--data backup=FILE`.
    Meaning: Data that etcd had before is kept, in a folder beside /var/lib/etcd.""")
PODS_STOPPED = Message("""RES007
    pods that were made after the backup, which their kubelets stop within a minute or two: {pods}
    Meaning: The cluster does not know them. What has made them (kubectl, a pipeline) can make them
    again.""")
PODS_AGAIN = Message("""RES008
    pods that were deleted after the backup, and are started again: {pods}
    Remedy: Delete again what they belong to, if it is not wanted.""")
NODE_REGISTERED = Message("""RES009
    {node} has joined after the backup: its kubelet is restarted, and registers it again
    Meaning: That does not restart its pods; those that the cluster does not know are stopped.""")
NODE_GONE = Message("""RES010
    {node} is in the backup, is not in the inventory and does not report: it is deleted from the
    cluster again
    Meaning: It has left the cluster after the backup. Its pods are made again elsewhere.""")
NODE_SILENT = Message("""RES011
    {node} is in the backup and does not report: {reason}
    Remedy: Switch it on, or delete it with
    `pyinfra inventory.py deploys/remove.py --data node={node}`.
    Meaning: It may be off, or have left the cluster after the backup.""")
NODE_EXTRA = Message("""RES012
    {node} is in the cluster, and not in the inventory
    Remedy: Add it to inventory.py, or delete it with `kubectl delete node {node}`.""")
NO_BACKUP = Message("""RES013
    there is no backup of the cluster {cluster} in {folder}
    Remedy: Copy one there, or name it with `--data backup=FILE`; docs/restore.md says what can be
    saved without one.
    Meaning: deploys/backup.py makes backups, and fetches those that the nodes have made. Nothing
    was changed.""")
NOT_OPENED = Message("""RES014
    the backup {backup} cannot be opened: {reason}
    Remedy: Use another backup, with `--data backup=FILE`: `make backups` lists them.
    Meaning: It is read completely, and all checksums are compared, before anything is changed.
    Without that option the newest backup is taken, and no older one in its place: more would be
    lost.""")
INTERRUPTED = Message("""RES016
    a restore of this control plane was interrupted
    Remedy: Run `pyinfra inventory.py deploys/restore.py`, which continues it; to have a new cluster
    instead, run `sudo rm -r /var/lib/bramble/restore` on this node, then `pyinfra inventory.py
    deploys/reset.py`.
    Meaning: The backup is still on the node, in that folder.""")
KUBELET_NEWER = Message("""RES017
    {node} is at {newer}, later than {version} of the backup
    Remedy: Run `pyinfra inventory.py deploys/upgrade.py` after the restore.
    Meaning: It was upgraded after the backup. A kubelet that is newer than the API server is not
    supported by Kubernetes; its pods run on, but may not be updated until the control plane has
    its version again.""")
NEWER_ON_NODE = Message("""RES018
    {node} keeps a newer backup than this computer: {path}
    Remedy: Copy it here with `ssh -F .cluster/ssh_config {node} sudo cat {path} > {folder}/{name}`,
    then run the same command again; or name an older one with `--data backup=FILE`.
    Meaning: The control plane has made it without this computer, or another node has a copy of it.
    Nothing was changed.""")
INTERRUPTED_ELSEWHERE = Message("""RES019
    a restore of the control plane {node} was interrupted
    Remedy: Wait until it answers, then continue it with `pyinfra inventory.py deploys/restore.py
    --data node={node}`.
    Meaning: It was the first control plane that answered then. To restore another one in its place,
    name that with `--data node=NAME`. Nothing was changed.""")
OUTSIDE_OF_RUN = Message("""RES020
    {nodes}: the API server or etcd answers, and the node is not part of this run
    Remedy: Let it be part of the run (without `--limit`; `make preflight` says why a node is not
    reached), or switch it off.
    Meaning: Every other control plane has to leave the former cluster before one is restored: else
    both would run beside each other. Nothing was changed.""")
FORMER_MAJORITY_AWAY = Message("""RES021
    {nodes} do not answer: do not start them again with their present SD cards
    Remedy: Write new cards with deploys/sdcard.py, then run `pyinfra inventory.py
    deploys/cluster.py`: they join the restored cluster.
    Meaning: They would go on with other data beside the restored cluster: together they have a
    majority of the former etcd, or one of them was being restored.""")
NOT_LEFT = Message("""RES022
    the control plane is not restored: {nodes} may still run the former one
    Remedy: Correct what is said of that node, or switch it off, then run the same command again.
    Meaning: All control planes of this run leave the former cluster before one is restored, so that
    no two run beside each other.""")
