"""Read what other or earlier clusters have left on a node."""

from __future__ import annotations

from dataclasses import dataclass

from facts.base import State, WholeFact, words_of

# Each distribution's program, at the path where its installer puts it.
DISTRIBUTIONS = {
    "k3s": "/usr/local/bin/k3s",
    "rke2": "/usr/local/bin/rke2",
    "k0s": "/usr/local/bin/k0s",
    "microk8s": "/snap/bin/microk8s",
}
# The interfaces of flannel, Calico, Cilium, Weave and kube-proxy's IPVS.
_INTERFACES = "flannel.1 cni0 vxlan.calico tunl0 cilium_host weave kube-ipvs0"

_SCRIPT = f"""for p in "$@"; do [ -e "$p" ] && printf '%s ' "$p"; done; echo;
for f in /etc/cni/net.d/*.conf /etc/cni/net.d/*.conflist; do
[ -e "$f" ] && printf '%s ' "${{f##*/}}"; done; echo;
for i in {_INTERFACES}; do [ -e "/sys/class/net/$i" ] && printf '%s ' "$i"; done; echo"""


@dataclass(frozen=True)
class LeftoversState(State):
    """
    + distributions: those of ``DISTRIBUTIONS`` that are installed
    + networks: the names of the files in /etc/cni/net.d
    + interfaces: of pod networks
    """

    distributions: list[str]
    networks: list[str]
    interfaces: list[str]


class Leftovers(WholeFact[LeftoversState]):
    """Read traces of clusters that kubeadm's own files do not show: a ``LeftoversState``."""

    script = (_SCRIPT, *DISTRIBUTIONS.values())

    def parse(self, programs: str, networks: str, interfaces: str) -> LeftoversState:
        names = {path: name for name, path in DISTRIBUTIONS.items()}
        return LeftoversState(
            [names[path] for path in words_of(programs, names)],
            networks.split(),
            words_of(interfaces, _INTERFACES.split()),
        )
