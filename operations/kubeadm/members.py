"""Remove members of etcd, as far as it keeps its quorum without them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import gevent
from pyinfra.api.host import Host

import remote
from facts.etcd import REMOVE_MEMBER, EtcdMembers, EtcdState
from formats import etcd
from formats.etcd import Member
from messages import kubernetes as messages
from remote.failures import HostFailure, RemoteFailure

_SECONDS = 60  # for etcd to have a leader again


def check_removable(members: Sequence[Member], member: Member) -> None:
    """Raise ``HostFailure`` if etcd would stop without a member."""
    if member.is_learner or etcd.keeps_quorum_without(members, member):
        return
    rest = etcd.voters(each for each in members if each != member)
    healthy = ", ".join(each.name for each in rest if each.is_healthy) or "none"
    values = {"member": member.name or member.id, "healthy": healthy, "count": len(rest)}
    raise HostFailure(messages.QUORUM_WOULD_BE_LOST(**values))


def described(member: Member, address: str) -> str:
    """Tell which member of etcd it is."""
    kind = "learner" if member.is_learner else "member"
    return f"the {kind} {member.name or 'without a name'} of etcd at {address} ({member.id})"


def remove(control_plane: Host, shown: Host, address: str) -> None:
    """
    Remove the members at an address, and wait until etcd works without them.

    + control_plane: another one, where etcd is asked
    + shown: the host under whose name progress is shown
    + raises ``HostFailure``: etcd does not answer, or would lose its quorum; nothing was changed
    """
    here = remote.of(control_plane)
    observed: EtcdState = here.gather(EtcdMembers())
    if observed.state != "listed":
        raise HostFailure(messages.ETCD_NOT_ASKED(reason=observed.why))
    leaving = etcd.at(observed.members, address)
    for member in leaving:
        check_removable(observed.members, member)
        _remove(here, shown, member, address)
    if leaving:
        _wait_for_quorum(here, address)


def remove_learners(control_plane: Host, shown: Host, ids: Sequence[str]) -> None:
    """
    Remove members that have no vote, and still have none.

    + control_plane, shown: as for ``remove``
    + ids: of the members
    + raises ``HostFailure``: etcd does not answer, or refuses
    """
    here = remote.of(control_plane)
    observed: EtcdState = here.gather(EtcdMembers())
    if observed.state != "listed":
        raise HostFailure(messages.ETCD_NOT_ASKED(reason=observed.why))
    for member in etcd.learners(observed.members):
        if member.id in ids:
            shown.log("the join of another node was cut off, and its member of etcd is in the way")
            _remove(here, shown, member, ", ".join(member.peers))


def _remove(here: remote.Node, shown: Host, member: Member, address: str) -> None:
    try:
        here.run(REMOVE_MEMBER, member.id, seconds=120)
    except RemoteFailure as error:
        values = {"member": member.name or member.id, "reason": error.args[0]}
        raise HostFailure(messages.MEMBER_NOT_REMOVED(**values)) from error
    shown.log(f"{described(member, address)} is removed")


def _wait_for_quorum(here: remote.Node, address: str) -> None:
    """Wait until a majority is healthy: the member that is removed may have led the others."""
    end = time.monotonic() + _SECONDS
    while True:
        now: EtcdState = here.gather(EtcdMembers())
        if etcd.has_quorum(now.members):
            return
        if time.monotonic() > end:
            voters = etcd.voters(now.members)
            healthy = [each.name for each in voters if each.is_healthy]
            reason = now.why or f"healthy: {', '.join(healthy) or 'none'} of {len(voters)}"
            raise HostFailure(messages.NO_QUORUM_AFTER(address=address, reason=reason))
        gevent.sleep(2)
