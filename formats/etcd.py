"""
The members of etcd, as etcdctl prints them in JSON: ``member list`` and ``endpoint health``.

Source: etcd's documentation, "Runtime reconfiguration" and "Learner".
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from formats.unreadable import reading
from messages import Said
from messages import kubernetes as messages

PEER_PORT = 2380
# How a learner refuses to tell its health.
_IS_LEARNER = "not supported for learner"
_NOT_UNDERSTOOD = "the members of etcd are not understood"


@dataclass(frozen=True)
class Member:
    """
    + id: hexadecimal, as etcdctl takes it
    + name: of its node; "" for one that was announced and has not started
    + peers: addresses at which the other members reach it
    + is_learner: whether it has no vote
    + is_healthy: whether it answers, and knows a leader; a learner never does
    + is_up: whether it answers: a learner says that it is one
    """

    id: str
    name: str
    peers: tuple[str, ...]
    is_learner: bool
    is_healthy: bool = False
    is_up: bool = False

    @property
    def is_started_voter(self) -> bool:
        """Whether it takes part in decisions: only then has a join come so far."""
        return bool(self.name) and not self.is_learner


def parse(listed: str, health: str) -> list[Member]:
    """
    Read the members.

    + listed: of ``member list -w json``
    + health: of ``endpoint health --cluster -w json``; "" when there is none
    + raises ``Unreadable``
    """
    with reading(_NOT_UNDERSTOOD):
        answers = {
            _address(each["endpoint"]): str(each.get("error", ""))
            for each in json.loads(health or "[]")
            if each["health"] is True or _IS_LEARNER in str(each.get("error", ""))
        }
        well = {address for address, error in answers.items() if not error}
        return [
            Member(
                id=format(int(each["ID"]), "x"),
                name=str(each.get("name", "")),
                peers=tuple(_address(url) for url in each["peerURLs"]),
                is_learner=each.get("isLearner", False) is True,
                is_healthy=any(_address(url) in well for url in each.get("clientURLs", [])),
                is_up=any(_address(url) in answers for url in each.get("clientURLs", [])),
            )
            for each in json.loads(listed)["members"]
        ]


def at(members: Iterable[Member], address: str) -> list[Member]:
    """Return those that other members reach at an address."""
    return [member for member in members if address in member.peers]


def has_started_voter(members: Iterable[Member], address: str) -> bool:
    """Whether a node takes part in etcd's decisions: only then has it joined."""
    return any(member.is_started_voter for member in at(members, address))


def learners(members: Iterable[Member]) -> list[Member]:
    """Return those that have no vote yet: etcd takes one at a time."""
    return [member for member in members if member.is_learner]


def voters(members: Iterable[Member]) -> list[Member]:
    """Return those that have a vote, started or not."""
    return [member for member in members if not member.is_learner]


def has_quorum(members: Iterable[Member]) -> bool:
    """Whether a majority of the voters is healthy."""
    voting = voters(members)
    return sum(each.is_healthy for each in voting) > len(voting) // 2


def majority_away(control_planes: Sequence[str], away: Collection[str]) -> Said | None:
    """
    Return what is wrong where too few control planes answer; None: enough do, or there is only one.

    + control_planes: all of the cluster
    + away: those that do not answer
    """
    total, needed = len(control_planes), len(control_planes) // 2 + 1
    gone = [name for name in control_planes if name in away]
    if total == 1 or total - len(gone) >= needed:
        return None
    values = {"count": len(gone), "total": total, "needed": needed}
    return messages.MAJORITY_AWAY(**values, nodes=", ".join(gone))


def keeps_quorum_without(members: Iterable[Member], member: Member) -> bool:
    """Whether a majority of the voters that remain without this member is healthy."""
    return has_quorum(each for each in members if each != member)


def _address(url: str) -> str:
    return urlsplit(url).hostname or url
