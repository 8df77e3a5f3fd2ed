"""
Kubernetes on a node: none yet, or ours; not another's, and not half of one.
"""

from __future__ import annotations

from formats.iptables import parse_save
from operations import kubeadm
from operations.preflight.rows import (
    Desk,
    Node,
    Verdict,
    failure,
    known,
    ok,
    unless_in_cluster,
    warning,
)

# Those that kubeadm looks at before it begins.
_PORTS = {
    "control_plane": ("6443", "2379", "2380", "10250", "10257", "10259"),
    "worker": ("10250",),
}
# flannel's health checks (--healthz-port of its manifest), on the node's own network.
_FLANNEL_PORT = "8081"
_FLANNEL = "10-flannel.conflist"
_UNINSTALL = {
    "k3s": "sudo k3s-uninstall.sh (a worker: sudo k3s-agent-uninstall.sh)",
    "rke2": "sudo rke2-uninstall.sh",
    "k0s": "sudo k0s reset",
    "microk8s": "sudo snap remove --purge microk8s",
}


def ports(node: Node, desk: Desk) -> Verdict:
    """Those that Kubernetes wants are free, or its own."""
    taken = known(node.found.listeners)
    proxy = {
        port: why
        for port, why in node.wanted.ports.items()
        if taken.get(port, "kubectl") != "kubectl"
    }
    if proxy:
        port, setting = next(iter(proxy.items()))
        return failure(
            f"{port} is taken by {_program(taken[port])}, and {setting} names it: choose another, "
            f"or stop that (`sudo ss -ltnp sport = :{port}`)"
        )
    if _is_used(node):
        return ok("in use by its own Kubernetes")
    busy = [port for port in _PORTS[node.wanted.role] if port in taken]
    if not busy and _FLANNEL_PORT in taken:
        return warning(
            f"{_FLANNEL_PORT} is taken by {_program(taken[_FLANNEL_PORT])}: flannel answers its "
            "health checks there, and would be restarted over and over. Stop that program "
            f"(`sudo ss -ltnp sport = :{_FLANNEL_PORT}` shows it)."
        )
    if not busy:
        return ok("free")
    names = ", ".join(f"{port} is taken by {_program(taken[port])}" for port in busy)
    words = f"{names}: stop that (`sudo ss -ltnp` shows it), kubeadm wants the port for itself"
    ignored = all(node.wanted.ignores(f"Port-{port}") for port in busy)
    return warning(words) if ignored else failure(words)


def _program(name: str) -> str:
    return name or "a program"


def _is_used(node: Node) -> bool:
    """Whether kubeadm has done something here: what it has, and what is wrong with it, is told by
    ``earlier_cluster``."""
    if node.wanted.role == "control_plane":
        return known(node.found.control_plane).state != "absent"
    return known(node.found.member).state != "absent"


def earlier_cluster(node: Node, desk: Desk) -> Verdict:
    """Nothing of another cluster, and no half of ours."""
    leftovers = known(node.found.leftovers)
    for name in leftovers.distributions:
        return unless_in_cluster(
            node, f"{name}, a Kubernetes of its own, is installed: uninstall it: {_UNINSTALL[name]}"
        )
    verdict = _control_plane(node) if node.wanted.role == "control_plane" else _worker(node, desk)
    return verdict or _networks(node) or ok("none, nor half of one")


def _control_plane(node: Node) -> Verdict | None:
    now = known(node.found.control_plane)
    if now.state in ("worker", "half-finished"):
        return failure(kubeadm.unfinished(now))
    if now.state == "not answering":
        return warning(
            "its control plane is all there, and its API server does not answer just now: the run "
            "waits for it"
        )
    return None


def _worker(node: Node, desk: Desk) -> Verdict | None:
    now = known(node.found.member)
    kubeadm.check_member(now)
    there = desk.get(node.wanted.control_plane)
    plane = there.found.control_plane if there else None
    if now.state == "joined" and plane is not None and plane.state != "running":
        kubeadm.check_cluster(now, node.wanted.control_plane, plane.ca)
    return None


def _networks(node: Node) -> Verdict | None:
    """What `kubeadm reset` leaves, and what other pod networks had."""
    leftovers = known(node.found.leftovers)
    first = [name for name in leftovers.networks if name < _FLANNEL]
    if first:
        return warning(
            f"/etc/cni/net.d/{first[0]} is there, and containerd takes the first file: pods would "
            f"not be on flannel's network: `sudo rm /etc/cni/net.d/{first[0]}`"
        )
    if node.in_cluster:
        return None
    left = [f"/etc/cni/net.d/{name}" for name in leftovers.networks if name == _FLANNEL]
    remedies = [f"sudo rm {path}" for path in left]
    rules = parse_save(known(node.found.iptables).rules)
    chains = [chain for table in rules.values() for chain in table.chains]
    if leftovers.interfaces:
        left.append(f"the interfaces {', '.join(leftovers.interfaces)}")
    if any(chain.startswith("KUBE-SVC-") for chain in chains):
        left.append("kube-proxy's rules")
    if len(left) > len(remedies):
        remedies.append("sudo reboot")
    if not left:
        return None
    return warning(
        f"an earlier cluster has left {' and '.join(left)}: `{' && '.join(remedies)}` clears that"
    )
