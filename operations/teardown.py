"""
Remove Kubernetes from a node: kubeadm reset, and what it leaves.

The network, SSH access, NAT rules and all rules of others stay. Afterwards the node is as
``deploys/packages.py`` has left it.
"""

from __future__ import annotations

from collections import Counter

from pyinfra import host, state
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.kubeconfig import AdminCredentials
from facts.traces import INTERFACES, LISTS, PATHS, PLUGINS, RESET_UNIT, Traces
from formats.node_record import NodeRecord
from messages import kubernetes as messages
from operations import node_record
from operations.base import Commands, HostFailure, operation, plan, plan_change, read
from operations.confirmation import confirm
from operations.kubeadm.run import follow

_MINUTES = 15

# Jumps into chains of Kubernetes are deleted one by one, its chains then emptied and removed, in
# one transaction for each table. Comments may hold any text, so they are not searched. Tables that
# are empty then filter nothing; without nft they stay.
_CHAINS = r"""without_chains() { awk '/^\*/ { print; next }
/^:(KUBE|FLANNEL)-/ { chain = substr($1, 2); chains[chain]; print "-F", chain; next }
/^-A (KUBE|FLANNEL)-/ { next }
/^-A / { rule = $0; gsub(/"([^"\\]|\\.)*"/, "", rule);
if (rule ~ / -[jg] (KUBE|FLANNEL)-/) { sub(/^-A/, "-D"); print } }
/^COMMIT/ { for (chain in chains) print "-X", chain; delete chains; print }'; };
empty_tables() { awk '/^\*/ { table = substr($1, 2); empty = 1 }
/^:/ && $2 != "ACCEPT" { empty = 0 } /^-/ { empty = 0 }
/^COMMIT/ && empty { print table }'; };
remove_chains() { for s in $(saves); do
"$s-save" 2>/dev/null | without_chains | "$s-restore" --noflush -w 10 || return; done;
for f in ip ip6; do "${f}tables-nft-save" 2>/dev/null | empty_tables | while read -r t; do
nft delete table "$f" "$t" 2>/dev/null; done; done;
nft_tables | while read -r t f name; do nft delete "$t" "$f" "$name"; done; };"""

# kubeadm wipes etcd's data before it removes etcd's manifest: after a power cut in between, a
# disabled kubelet does not start an empty cluster. --one-file-system: a volume that could not be
# unmounted keeps its data.
_RESET = f"""{LISTS}
{_CHAINS}
systemctl stop bramble-kubeadm-init bramble-kubeadm-join bramble-kubeadm-images 2>/dev/null;
if [ -n "$1" ]; then rm -f -- "$1"; rmdir -- "$(dirname -- "$1")" 2>/dev/null; fi;
trap 'systemctl enable --quiet kubelet 2>/dev/null' EXIT;
systemctl disable --quiet kubelet 2>/dev/null && sync -f /etc/systemd/system;
if command -v kubeadm >/dev/null; then kubeadm reset -f || exit; fi;
systemctl stop kubepods.slice 2>/dev/null;
find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {{}} + 2>/dev/null;
for i in {INTERFACES}; do [ ! -e "/sys/class/net/$i" ] || ip link delete "$i" || exit; done;
remove_chains || exit;
rm -rf --one-file-system -- {PATHS} || exit;
[ ! -d {PLUGINS} ] || find {PLUGINS} -depth -type d -empty -delete;
rmdir /root/.kube 2>/dev/null;
kept | while read -r p; do [ -e "$p" ] || {{ : > "$p"; chmod 644 "$p"; }}; done;
! systemctl enable --quiet kubelet 2>/dev/null || systemctl start --no-block kubelet"""


@operation()
def reset(
    cluster: str = "", yes: str | None = None, user: str = "", drained_by: str = ""
) -> Commands:
    """
    Remove Kubernetes from this node.

    + cluster: its name, which a person has to type before; "": nobody is asked
    + yes: the name as it was given with ``--data``: nobody is asked
    + user: whose ``~/.kube/config`` is removed, if it is a copy of the administrator's
    + drained_by: the control plane that has drained the node in this run; "": none

    ``HostFailure``: not confirmed, or not drained, or kubeadm fails.
    """
    if drained_by and all(each.name != drained_by for each in state.activated_hosts):
        raise HostFailure(messages.NOT_DRAINED_BY(control_plane=drained_by))
    observed = read(Traces)
    copy = read(AdminCredentials, owner=user).copy if user else ""
    found = [*observed.found, *([f"path {copy}"] if copy else [])]
    if observed.running:
        plan_change("follow the kubeadm reset that is running there")
    elif found:
        kinds = Counter(each.partition(" ")[0] for each in found)
        others = [each for each in found if each.partition(" ")[0] not in ("path", "chain")]
        shown = [f"{kinds['path']} files and folders", *others]
        shown += [f"{kinds['chain']} chains of iptables"] if kinds["chain"] else []
        plan(f"Will run kubeadm reset, and remove what it leaves: {', '.join(shown)}")
        paths = [each.removeprefix("path ") for each in found if each.startswith("path ")]
        plan_change(f"remove {', '.join(paths) or 'the rest of Kubernetes'}", *found)
    else:
        host.noop("there is nothing of Kubernetes on this node")
        return
    yield FunctionCommand(_reset, (cluster, yes, copy, observed.running), {})


def _reset(
    state: State, host: Host, cluster: str, yes: str | None, copy: str, running: bool
) -> bool:
    if not running:
        check_confirmed(state, host, cluster, yes)
        # Before: a run that is cut off here finds nothing of Kubernetes the next time.
        node_record.write(host, _without_labels)
        start_reset(host, copy)
    return follow_reset(host)


def check_confirmed(state: State, host: Host, cluster: str, yes: str | None) -> bool:
    """
    Ask, once in a run, whether the whole cluster is to be deleted.

    + cluster, yes: as for ``reset``
    + raises ``HostFailure``: it is not
    """
    question = f"The cluster and all its data will be deleted. Type its name, {cluster}"
    if cluster and confirm(state, question, yes) != cluster:
        raise HostFailure(messages.RESET_NOT_CONFIRMED(cluster=cluster))
    return True


def start_reset(host: Host, copy: str = "") -> None:
    """
    Start to remove Kubernetes from a node.

    + copy: a copy of the administrator's kubeconfig that is removed too
    """
    command = ["sh", "-c", _RESET, "reset", copy]
    remote.of(host).job(RESET_UNIT).start("bramble: kubeadm reset", command)


def follow_reset(host: Host) -> bool:
    """Follow it to its end; whether it has succeeded."""
    return follow(host, "kubeadm reset", RESET_UNIT, _MINUTES, watched=False)


def _without_labels(record: NodeRecord) -> NodeRecord:
    """The labels of a cluster's nodes, which its control plane has recorded, went with it."""
    return record.without([name for name in record.entries if name.startswith("label ")])
