"""Save etcd and /etc/kubernetes of the control plane, for root alone."""

from __future__ import annotations

from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.certificates import PKI
from facts.upgrade import SNAPSHOTS
from messages import upgrade as messages
from remote.failures import HostFailure, RemoteFailure

KEPT = 5

# etcd's own programs are in its image, without a shell, and its container sees two directories of
# the node: the snapshot goes through the data directory. Only a restore compares its
# checksum. A folder is renamed to its name when all of it is on the disk.
_SAVE = f"""set -e; umask 077; mkdir -p {SNAPSHOTS}; chmod 700 {SNAPSHOTS};
e=/var/lib/etcd/bramble-snapshot; rm -rf "$e" {SNAPSHOTS}/.new.*; mkdir "$e";
t=$(mktemp -d {SNAPSHOTS}/.new.XXXXXX); trap 'rm -rf "$e" "$t"' EXIT;
running=$(ctr -n k8s.io tasks ls | awk '$3 == "RUNNING" {{print $1}}');
c=$(ctr -n k8s.io containers ls -q 'labels."io.kubernetes.container.name"==etcd,\
labels."io.cri-containerd.kind"==container' | grep -xF -e "$running" | head -n1) || :;
[ -n "$c" ] || {{ echo "no container of etcd runs" >&2; exit 1; }};
n=0; etcd() {{ n=$((n+1)); ctr -n k8s.io tasks exec --exec-id "bramble-$$-$n" "$c" "$@" \
</dev/null; }};
p={PKI}/etcd;
etcd etcdctl --endpoints https://127.0.0.1:2379 --cacert "$p/ca.crt" \
--cert "$p/healthcheck-client.crt" --key "$p/healthcheck-client.key" --command-timeout=120s \
snapshot save "$e/etcd.db" >/dev/null;
if etcd etcdutl version >/dev/null 2>&1; then
etcd etcdutl snapshot restore "$e/etcd.db" --data-dir "$e/restored" >/dev/null;
[ -d "$e/restored/member" ] || {{ echo "the snapshot cannot be restored" >&2; exit 1; }}; fi;
cp "$e/etcd.db" "$t/etcd.db"; tar -C / --exclude=etc/kubernetes/tmp -cf "$t/kubernetes.tar" \
etc/kubernetes; sync "$t/etcd.db" "$t/kubernetes.tar" "$t";
d={SNAPSHOTS}/$(date -u +%Y%m%dT%H%M%SZ)-$1; mv -T "$t" "$d"; sync {SNAPSHOTS};
find {SNAPSHOTS} -mindepth 1 -name '*Z-*' -prune | sort -r | awk 'NR > {KEPT}' | xargs -r rm -rf;
echo "$d"; du -sk "$d" | cut -f1"""


def save(state: State, host: Host, version: str) -> bool:
    """
    Save a snapshot; the newest ``KEPT`` are kept.

    + version: of the cluster; it becomes a part of the name

    ``HostFailure``: it could not be made, or can't be restored.
    """
    try:
        folder, size = remote.of(host).run(_SAVE, version, seconds=600)[-2:]
    except RemoteFailure as failure:
        reason = failure.args[0].rstrip(".")
        raise HostFailure(messages.NO_SNAPSHOT(reason=reason)) from failure
    host.log(f"snapshot of etcd and /etc/kubernetes: {folder} ({size} kB)")
    return True
