"""Read what a cluster has left on a node: what ``kubeadm reset`` removes, and what it leaves."""

from __future__ import annotations

from dataclasses import dataclass

from facts.base import State, WholeFact, one_of
from facts.kubeadm import UPGRADING

RESET_UNIT = "bramble-kubeadm-reset"

# What a node has once it is in a cluster, and a prepared node has not.
_KUBECONFIGS = "admin super-admin kubelet bootstrap-kubelet controller-manager scheduler"
PATHS = " ".join(
    [
        *(f"/etc/kubernetes/{name}.conf" for name in _KUBECONFIGS.split()),
        *("/etc/kubernetes/kubeadm-config.yaml", "/etc/kubernetes/manifests/*.yaml", UPGRADING),
        *("/etc/kubernetes/pki", "/etc/kubernetes/tmp", "/etc/cni/net.d/10-flannel.conflist"),
        *("/opt/cni/bin/flannel", "/root/.kube/cache", "/run/flannel", "/var/lib/cni"),
        *("/var/lib/etcd", "/var/lib/kubelet/*", "/var/log/containers", "/var/log/pods"),
    ]
)
# Made by the kubelet; programs in it are somebody's.
PLUGINS = "/usr/libexec/kubernetes"
INTERFACES = "cni0 flannel.1 kube-ipvs0"

# Shell functions, for ``operations.teardown`` too. Reading legacy tables would load their modules.
LISTS = """saves() { for s in iptables ip6tables iptables-nft ip6tables-nft; do
! command -v $s-save >/dev/null || echo $s; done;
! grep -qs . /proc/net/ip_tables_names || echo iptables-legacy;
! grep -qs . /proc/net/ip6_tables_names || echo ip6tables-legacy; };
nft_tables() { nft list tables 2>/dev/null | grep -E ' (kube-proxy|flannel-ipv[46])$'; };
kept() { dpkg-query -L kubelet 2>/dev/null | grep '/\\.kubelet-keep$'; };"""

_SCRIPT = f"""{LISTS}
! systemctl is-active --quiet {RESET_UNIT} || echo running;
for p in {PATHS}; do [ ! -e "$p" ] || echo "path $p"; done;
if [ -d {PLUGINS} ] && [ -z "$(find {PLUGINS} ! -type d -print -quit)" ]; then
echo "path {PLUGINS}"; fi;
for i in {INTERFACES}; do [ ! -e "/sys/class/net/$i" ] || echo "interface $i"; done;
for s in $(saves); do "$s-save" 2>/dev/null | grep -E '^:(KUBE|FLANNEL)-'; done |
sed 's/^:/chain /; s/ [-A-Z]* *\\[.*//' | sort -u;
nft_tables; kept | while read -r p; do [ -e "$p" ] || echo "missing $p"; done;
if systemctl is-enabled --quiet kubelet 2>/dev/null &&
[ "$(systemctl is-active kubelet)" = inactive ]; then echo "stopped kubelet"; fi"""

_KINDS = ("path", "interface", "chain", "table", "missing", "stopped")


@dataclass(frozen=True)
class TracesState(State):
    """
    + found: each ``KIND NAME``, such as "interface cni0"; none on a node that is only prepared
    + running: whether a reset that an interrupted run has started still runs
    """

    found: tuple[str, ...]
    running: bool = False


class Traces(WholeFact[TracesState]):
    """Read what a cluster has left on a node: a ``TracesState``."""

    script = (_SCRIPT,)

    def parse(self, *lines: str) -> TracesState:
        found = [line for line in lines if line != "running"]
        for line in found:
            one_of(line.partition(" ")[0], *_KINDS)
        return TracesState(tuple(found), "running" in lines)
