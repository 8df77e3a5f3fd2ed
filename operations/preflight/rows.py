"""
What checks are given, and what they answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any, Literal, TypeVar

from facts.preflight import PreflightState

Status = Literal["OK", "warning", "failure"]
Desk = Mapping[str, "Node"]  # all hosts of this run that could be looked at, by name
T = TypeVar("T")

# The port on which every node that is reached at all answers.
SSH_PORT, API_PORT = 22, 6443


@dataclass(frozen=True)
class Verdict:
    """What a check says of a node; the words of a warning or failure end in the remedy."""

    status: Status
    words: str


@dataclass(frozen=True)
class Row(Verdict):
    """A verdict with the name of its check."""

    check: str


@dataclass(frozen=True)
class Wanted:
    """
    What the settings want of a node.

    + role: "control_plane" or "worker"
    + user: who logs in
    + address: on the cluster's network
    + interfaces: as ``interfaces.interface`` takes them: interface, method, address, gateway
    + networks: of the settings, by the setting's name
    + resolver: as ``resolv_conf.resolver`` takes it: nameservers, search, options
    + control_plane, control_plane_address: its name, its address on the cluster's network
    + peers: the other nodes' addresses on the cluster's network, by name
    + gateway: the node that routes for this one; None: no other node does
    + is_gateway: whether it is the node that routes for the others
    + ignored: names of kubeadm's checks that shall only warn
    + memory_cgroup: False: it may be off
    + ports: that are to be free besides Kubernetes' own, each with the setting that names it
    + archives, registries: what it shall reach, see ``facts.reach.Reach``
    """

    role: Literal["control_plane", "worker"]
    user: str
    address: str
    interfaces: Sequence[Mapping[str, Any]]
    networks: Mapping[str, str]
    resolver: Mapping[str, Any]
    control_plane: str
    control_plane_address: str
    peers: Mapping[str, str] = field(default_factory=dict)
    gateway: str | None = None
    is_gateway: bool = False
    ignored: Sequence[str] = ()
    memory_cgroup: bool = True
    ports: Mapping[str, str] = field(default_factory=dict)
    archives: Sequence[str] = ()
    registries: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """Its interfaces' names."""
        return [each["interface"] for each in self.interfaces]

    @property
    def asked_ports(self) -> tuple[int, ...]:
        """The control plane's ports that this node has to reach."""
        return () if self.role == "control_plane" else (SSH_PORT, API_PORT)

    def network(self, setting: str) -> IPv4Network:
        """One of ``networks``."""
        return IPv4Network(self.networks[setting])

    def ignores(self, name: str) -> bool:
        """Whether one of kubeadm's checks shall only warn (it reads them in any case)."""
        return {"all", name.lower()} & {each.lower() for each in self.ignored} != set()


@dataclass(frozen=True)
class Node:
    """A node as it is wanted, and as it was found."""

    name: str
    wanted: Wanted
    found: PreflightState

    @property
    def in_cluster(self) -> bool:
        """Whether kubeadm's work is done here, or being done."""
        plane, member = self.found.control_plane, self.found.member
        if self.wanted.role == "control_plane":
            return plane is not None and plane.state in ("finished", "running", "not answering")
        return member is not None and member.state in ("joined", "running")

    @property
    def has_packages(self) -> bool:
        """Whether Kubernetes' packages are installed, which come last."""
        return any(each and each.version for each in (self.found.control_plane, self.found.member))


Check = Callable[[Node, Desk], Verdict | None]  # None: it has nothing to do with this node


class Unread(Exception):
    """A part of what was looked at could not be read."""


def known(part: T | None) -> T:
    """A part that was read; ``Unread`` otherwise."""
    if part is None:
        raise Unread
    return part


def ok(words: str) -> Verdict:
    """As it shall be, or as the run makes it."""
    return Verdict("OK", words)


def warning(words: str) -> Verdict:
    """The run can go on; a person should know."""
    return Verdict("warning", words)


def failure(words: str) -> Verdict:
    """The run could not come to a good end here."""
    return Verdict("failure", words)


def unless_in_cluster(node: Node, words: str) -> Verdict:
    """What stands in the way of a cluster to come; one that stands has got past it."""
    return warning(words) if node.in_cluster else failure(words)
