"""The cluster that other control planes know, asked while this node does not belong to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyinfra import inventory, state
from pyinfra.api.exceptions import ConnectError

from facts.etcd import EtcdMembers
from facts.kubeadm import ClusterAuthority
from facts.kubectl import Objects
from formats.etcd import Member
from formats.node import Node
from formats.node import nodes as node_objects
from operations.base import HostFailure, read_together


@dataclass(frozen=True)
class Existing:
    """
    A cluster, as one of its control planes knows it.

    + name: of that control plane; "": none answers, or there is no cluster
    + members: of etcd
    + nodes: by name
    + authority: its certificate authority (PEM)
    + silent: the control planes of which nobody knows whether they have a cluster, each with the
      reason; none where one answers
    """

    name: str = ""
    members: Sequence[Member] = ()
    nodes: Mapping[str, Node] = field(default_factory=dict)
    authority: str = ""
    silent: Mapping[str, str] = field(default_factory=dict)

    def reasons(self) -> str:
        """Return what is known of those that are silent."""
        return "; ".join(f"{name} ({why})" for name, why in self.silent.items())


def ask(control_planes: Mapping[str, str]) -> Existing:
    """
    Ask control planes in turn, until the etcd of one answers; those that have failed last.

    + control_planes: addresses by name
    """
    silent = {}
    failed = {each.name for each in state.failed_hosts}
    for name in sorted(control_planes, key=failed.__contains__):
        other = inventory.get_host(name)
        try:
            members, objects, authority = read_together(
                (other, EtcdMembers, {}),
                (other, Objects, {"names": ["nodes"]}),
                (other, ClusterAuthority, {}),
            )
        except (HostFailure, ConnectError) as failure:  # also one that the run leaves out
            is_away = other in state.failed_hosts and other not in state.activated_hosts
            silent[name] = "does not answer" if is_away else str(failure.args[0])
            continue
        if members.state == "listed" and objects.answers:
            return Existing(name, members.members, node_objects(objects.objects), authority)
        if members.state != "absent":
            silent[name] = members.why or objects.why
    return Existing(silent=silent)
