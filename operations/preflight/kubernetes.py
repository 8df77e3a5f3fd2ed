"""Kubernetes on a node: none yet, or this cluster's; not another one's, and not half of one."""

from __future__ import annotations

from pyinfra import state

from facts.iptables import Iptables
from facts.kubeadm import ControlPlane, Member
from facts.leftovers import Leftovers
from facts.listeners import Listeners
from formats.etcd import majority_away
from formats.iptables import parse_save
from formats.kubernetes_version import parse_desired, parse_reported
from formats.shared_downloads import PORT as DOWNLOADS
from messages import preflight as messages
from operations import kubeadm, packages
from operations.base import HostFailure
from operations.preflight.node import Node, Nodes
from operations.preflight.results import Result, before_cluster, failure, ok, warning

# Those that kubeadm checks.
_PORTS = {
    "control_plane": ("6443", "2379", "2380", "10250", "10257", "10259"),
    "worker": ("10250",),
}
# flannel's health checks (--healthz-port of its manifest), on the node's own network.
_FLANNEL_PORT = "8081"
_FLANNEL = "10-flannel.conflist"
_UNINSTALL = {
    "k3s": "`sudo k3s-uninstall.sh`, or on a worker `sudo k3s-agent-uninstall.sh`",
    "rke2": "`sudo rke2-uninstall.sh`",
    "k0s": "`sudo k0s reset`",
    "microk8s": "`sudo snap remove --purge microk8s`",
}


def ports(node: Node, nodes: Nodes) -> Result:
    """The ports that Kubernetes needs are free, or its own programs listen there."""
    taken = node.known(Listeners)
    other = taken.get(str(DOWNLOADS), "nginx")
    if node.desired.downloads == node.name and other != "nginx":
        return warning(messages.DOWNLOADS_PORT_TAKEN(program=_program(other), port=DOWNLOADS))
    for port, setting in node.desired.ports.items():
        if taken.get(port, "kubectl") != "kubectl":
            program = _program(taken[port])
            message = messages.PROXY_PORT_TAKEN(program=program, port=port, setting=setting)
            return failure(message)
    if _is_used(node):
        return ok("used by this node's Kubernetes")
    busy = [port for port in _PORTS[node.desired.role] if port in taken]
    if busy:
        listed = ", ".join(f"{port} ({_program(taken[port])})" for port in busy)
        ignored = all(node.desired.ignores(f"Port-{port}") for port in busy)
        return (warning if ignored else failure)(messages.PORTS_TAKEN(ports=listed))
    if _FLANNEL_PORT in taken:
        program = _program(taken[_FLANNEL_PORT])
        return warning(messages.FLANNEL_PORT_TAKEN(program=program, port=_FLANNEL_PORT))
    return ok("free")


def _program(name: str) -> str:
    return name or "an unknown program"


def _is_used(node: Node) -> bool:
    """Whether kubeadm has done anything here; ``earlier_cluster`` reports what is wrong with it."""
    if node.desired.role == "control_plane":
        return node.known(ControlPlane).state != "absent"
    return node.known(Member).state != "absent"


def earlier_cluster(node: Node, nodes: Nodes) -> Result:
    """Nothing of another cluster is on the node, no half of this one, and no other version."""
    for name in node.known(Leftovers).distributions:
        message = messages.OTHER_KUBERNETES(name=name, command=_UNINSTALL[name])
        return before_cluster(node, message)
    _check_version(node)
    if node.desired.role == "worker":
        _check_worker(node, nodes)
    elif result := _control_plane(node, nodes):
        return result
    return _pod_network(node) or ok("none")


def _check_version(node: Node) -> None:
    """Refuse to run on a cluster of another version, which only ``deploys/upgrade.py`` changes."""
    is_worker = node.desired.role == "worker"
    now = node.known(Member) if is_worker else node.known(ControlPlane)
    if node.in_cluster and now.version:
        installed, desired = parse_reported(now.version), node.desired.kubernetes_version
        packages.check_change("kubeadm", installed, parse_desired(desired), joined=True)


def _control_plane(node: Node, nodes: Nodes) -> Result | None:
    now = node.known(ControlPlane)
    # What an interrupted join has left on one of several is undone when it joins.
    halves = ("worker",) if len(node.desired.control_planes) > 1 else ("worker", "half-finished")
    is_cut_off = now.upgrading and now.state == "half-finished"
    if now.state in halves or is_cut_off or kubeadm.is_being_restored(now):
        raise HostFailure(kubeadm.incomplete(now))
    if now.state != "not answering":
        return None
    gone = {each.name for each in state.failed_hosts if each.name not in nodes}
    said = majority_away([*node.desired.control_planes], gone)
    return failure(said) if said else warning(messages.API_SERVER_DOWN())


def _check_worker(node: Node, nodes: Nodes) -> None:
    now = node.known(Member)
    kubeadm.check_member(now)
    there = nodes.get(node.desired.control_plane)
    plane = there.read(ControlPlane) if there else None
    if now.state == "joined" and plane is not None and plane.state != "running":
        kubeadm.check_cluster(now, node.desired.control_plane, plane.ca)


def _pod_network(node: Node) -> Result | None:
    """Warn of what `kubeadm reset` leaves, and of other pod networks' files."""
    leftovers = node.known(Leftovers)
    if first := [name for name in leftovers.networks if name < _FLANNEL]:
        return warning(messages.OTHER_POD_NETWORK(file=first[0]))
    if node.in_cluster:
        return None
    left = [f"/etc/cni/net.d/{name}" for name in leftovers.networks if name == _FLANNEL]
    commands = [f"sudo rm {path}" for path in left]
    rules = parse_save(node.known(Iptables).rules)
    chains = [chain for table in rules.values() for chain in table.chains]
    if leftovers.interfaces:
        left.append(f"the interfaces {', '.join(leftovers.interfaces)}")
    if any(chain.startswith("KUBE-SVC-") for chain in chains):
        left.append("kube-proxy's rules")
    if len(left) > len(commands):
        commands.append("sudo reboot")
    if not left:
        return None
    message = messages.LEFTOVERS(leftovers=" and ".join(left), command=" && ".join(commands))
    return warning(message)
