"""Several control planes: one that is asked about the cluster, while another one is worked on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import gevent
from pyinfra.api import FactProcessError
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.etcd import EtcdMembers
from facts.livez import Livez
from formats import etcd
from formats.etcd import Member
from messages import Said
from messages import kubernetes as kubernetes_messages
from messages import rollout as messages
from operations import keepalived
from remote.failures import HostFailure, RemoteFailure

ASK_S = 60  # for etcd, which may be electing a leader, and for the gateway's connections
_AWAY_S = 5  # for one control plane to answer, before another one is asked
_PAUSE_S = 2


@dataclass(frozen=True)
class ControlPlanes:
    """
    The control planes of the cluster.

    + addresses: by name
    + shared: the address that several of them have in common
    """

    addresses: Mapping[str, str]
    shared: str

    def member(self, node: str) -> str:
        """The address of a node's member of etcd, if other nodes have members too; else ""."""
        return self.addresses.get(node, "") if len(self.addresses) > 1 else ""

    def asked(self, state: State, node: str, seconds: float = ASK_S) -> Host:
        """
        Return one whose etcd answers; not the node that is worked on, if there is another.

        + seconds: how long to ask all of them

        ``HostFailure``: none answers.
        """
        if len(self.addresses) == 1:
            return state.inventory.get_host(*self.addresses)
        return self._listed(state, node, seconds)[0]

    def _listed(
        self, state: State, node: str, seconds: float = ASK_S
    ) -> tuple[Host, Sequence[Member]]:
        """As ``asked``, with the members of etcd."""
        hosts = [state.inventory.get_host(name) for name in self.addresses]
        hosts.sort(key=lambda each: each.name == node)
        end, why = time.monotonic() + seconds, ""
        while True:
            for each in hosts:
                try:
                    if lost := remote.of(each).ensure_open(_AWAY_S):
                        raise RemoteFailure(lost)
                    observed = remote.of(each).gather(EtcdMembers())
                except (RemoteFailure, FactProcessError) as failure:
                    why = str(failure)
                    continue
                if observed.state == "listed":
                    return each, observed.members
                why = observed.why or why
            if time.monotonic() > end:
                raise HostFailure(kubernetes_messages.ETCD_NOT_ASKED(reason=why))
            gevent.sleep(_PAUSE_S)

    def check_spare(self, state: State, node: str) -> None:
        """
        Check that etcd does without a node.

        ``HostFailure``: it does not, or does not answer.
        """
        if address := self.member(node):
            members = self._listed(state, node)[1]
            if said := indispensable(members, node, address):
                raise HostFailure(said)

    def spare(self, state: State, host: Host) -> None:
        """
        Move the shared address away from a node that is about to be worked on.

        ``HostFailure``: as ``check_spare``; or no other one takes the address.
        """
        if self.member(host.name):
            self.check_spare(state, host.name)
            keepalived.move_away(host, self.shared)

    def serves(self, host: Host, other: Host) -> bool:
        """
        Tell whether a control plane's own API server is well, and its member of etcd.

        + other: another one, which is asked; raises ``RemoteFailure``, ``FactProcessError``
        """
        here = remote.of(host)
        return not here.gather(Livez()) and not unwell_member(other, self.member(host.name))


def indispensable(members: Sequence[Member], node: str, address: str) -> Said | None:
    """
    Return why etcd does not do without a node now; None: it does, or already goes without it.

    + members: of etcd
    + address: of the node
    """
    voters = etcd.voters(members)
    others = [each for each in voters if address not in each.peers]
    if not others or not any(each.is_healthy for each in etcd.at(voters, address)):
        return None
    if unwell := [each.name or each.id for each in others if not each.is_healthy]:
        return messages.MEMBERS_UNWELL(node=node, members=", ".join(unwell))
    if len(others) <= len(voters) // 2:
        return messages.MAJORITY_LOST(node=node, count=len(voters))
    return None


def unwell_member(control_plane: Host, address: str) -> str:
    """
    Return what is wrong with a node's member of etcd; "": it takes part.

    + control_plane: another one, which is asked
    + address: of the node
    """
    observed = remote.of(control_plane).gather(EtcdMembers())
    if observed.state != "listed":
        return f"etcd does not answer: {observed.why}"
    own = etcd.at(observed.members, address)
    well = all(each.is_started_voter and each.is_healthy for each in own)
    return "" if well else "its member of etcd is not healthy"
