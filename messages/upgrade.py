"""Upgrade: Kubernetes from one version to a newer one."""

from __future__ import annotations

from messages import Message

NO_CLUSTER = Message("""UPG001
    there is no cluster to upgrade
    Remedy: Make one with `pyinfra inventory.py deploys/cluster.py`.
    Meaning: The control plane is not initialized. It gets kubernetes_version at once.""")
NOT_LISTED = Message("""UPG002
    this computer cannot read which versions {url} has: {reason}
    Remedy: Correct kubernetes_repository in group_data/all.py, or this computer's connection, then
    run the same command again.
    Meaning: The version to upgrade to is chosen before anything is changed.""")
TOO_FAR = Message("""UPG003
    {part} is at {observed}, and {desired} is more than one minor version later ({way})
    Remedy: Set kubernetes_version = "{next}" in group_data/all.py, and its pause_image, run the
    same command again, then go on to the next minor.
    Meaning: kubeadm upgrades one minor at a time. Nothing was changed.""")
DOWNGRADE = Message("""UPG004
    {part} is at {observed}, which is newer than {desired}
    Remedy: Set kubernetes_version = "{observed}" in group_data/all.py.
    Meaning: kubeadm does not go back to an older version; only the backup that was made
    before the upgrade does. Nothing was changed.""")
KUBELET_NEWER = Message("""UPG005
    the kubelet {observed} of {node} would be newer than the API server {desired}
    Remedy: Set kubernetes_version = "{observed}" in group_data/all.py, or remove the node with
    `pyinfra inventory.py deploys/remove.py --data node={node}`.
    Meaning: A kubelet may be older than the API server, and never newer. Nothing was changed.""")
REMOVED_APIS = Message("""UPG006
    {desired} no longer has APIs that are in use: {apis}
    Remedy: Change what uses them to a newer version of the API, restart the API server on {node}
    with `sudo kill $(pgrep -x kube-apiserver)`, and run the same command again after some minutes.
    Meaning: The API server counts requests for deprecated APIs since its start
    (apiserver_requested_deprecated_apis in `kubectl get --raw /metrics`). Controllers, charts and
    scripts that still use them would fail after the upgrade. Nothing was changed.""")
CLOCK_WRONG = Message("""UPG007
    the clock is {distance}
    Remedy: Run `pyinfra inventory.py deploys/prepare.py`, which waits until it is right.
    Meaning: The certificates that an upgrade renews would not be valid on other nodes. Nothing was
    changed.""")
DISK_FULL = Message("""UPG008
    the disk is full: {free} MB are free for /var, and an upgrade needs {needed} MB
    Remedy: Free space: `df -h` shows where, `sudo apt-get clean` removes downloaded packages.
    Meaning: The packages and images of the new version stand beside those of the old one, and
    a backup beside etcd's data. Nothing was changed.""")
KUBELET_NOT_BACK = Message("""UPG011
    the kubelet does not report version {version} after {seconds} s: {reason}
    Remedy: Run `sudo journalctl -u kubelet` on this node for the reason, then run the same command
    again: it continues with this node.
    Meaning: The packages are upgraded. No other node is touched until this one is back.""")
INCOMPLETE = Message("""UPG012
    not all parts are at {version}: {parts}
    Remedy: Run the same command again: it continues with what is left.""")
WITHOUT_CONTROL_PLANE = Message("""UPG013
    {control_plane} is not part of this run, and is upgraded before other nodes
    Remedy: Leave out --limit, or add `--limit {control_plane}`.
    Meaning: Nothing was changed.""")
CUT_OFF = Message("""UPG015
    a power cut during kubeadm upgrade has cost {node} a file of its control plane
    Remedy: Run `pyinfra -y inventory.py deploys/upgrade.py`. It puts kubeadm's copy of the file
    back, and finishes the upgrade.
    Meaning: What is left to do is known only then, so a run without -y can't show it. Nothing was
    changed.""")
MANIFEST_LOST = Message("""UPG014
    a power cut during the upgrade has cost a file of this control plane: {reason}
    Remedy: Write the SD card of this node again, and run `pyinfra inventory.py deploys/cluster.py`,
    or `deploys/restore.py` if this is the only control plane; then run the same command again.
    Meaning: kubeadm keeps the files that it replaces in /etc/kubernetes/tmp, and a lost one is put
    back from there. The kubelet starts etcd and the API server from these files.""")
