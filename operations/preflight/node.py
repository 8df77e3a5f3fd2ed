"""A node as a check sees it: its specification from the settings, and what was gathered from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any, Literal, TypeVar

from pyinfra.api import FactProcessError

from facts.base import WholeFact
from facts.kubeadm import ControlPlane, Member
from facts.networks import Networks

Nodes = Mapping[str, "Node"]  # all hosts of this run that could be read, by name
T = TypeVar("T")

# sshd answers on every node that can be reached at all.
SSH_PORT, API_PORT = 22, 6443


@dataclass(frozen=True)
class Specification:
    """
    What the settings make of a node.

    + role: "control_plane" or "worker"
    + user: who logs in
    + address: on the cluster's network
    + interfaces: as ``interfaces.interface`` takes them: interface, method, address, gateway
    + networks: of the settings, by the setting's name
    + resolver: as ``resolv_conf.resolver`` takes it: nameservers, search, options
    + kubernetes_version: as for ``packages.installed``
    + control_planes: their addresses on the cluster's network, by name; first the one that knows
      the cluster
    + common_address: held by one of those at a time; None: there is none
    + peers: the other nodes' addresses on the cluster's network, by name
    + gateway: the node that routes for this one; None: no other node does
    + is_gateway: whether it routes for the others
    + ignored: names of kubeadm's checks that are to warn only
    + memory_cgroup: False: it may be off
    + ports: to be free besides Kubernetes' own, each with the setting that names it
    + downloads: the node that keeps them for all; None: there is none
    + archives, registries: URLs that it has to reach, see ``facts.reach.Reach``
    """

    role: Literal["control_plane", "worker"]
    user: str
    address: str
    interfaces: Sequence[Mapping[str, Any]]
    networks: Mapping[str, str]
    resolver: Mapping[str, Any]
    kubernetes_version: str
    control_planes: Mapping[str, str]
    common_address: str | None = None
    peers: Mapping[str, str] = field(default_factory=dict)
    gateway: str | None = None
    is_gateway: bool = False
    ignored: Sequence[str] = ()
    memory_cgroup: bool = True
    ports: Mapping[str, str] = field(default_factory=dict)
    downloads: str | None = None
    archives: Sequence[str] = ()
    registries: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """Its interfaces' names."""
        return [each["interface"] for each in self.interfaces]

    @property
    def control_plane(self) -> str:
        """The name of the control plane that knows the cluster."""
        return next(iter(self.control_planes))

    @property
    def control_plane_address(self) -> str:
        """Its address."""
        return self.control_planes[self.control_plane]

    @property
    def is_first(self) -> bool:
        """Whether it is that one."""
        return self.address == self.control_plane_address

    @property
    def asked_addresses(self) -> list[str]:
        """``ADDRESS:PORT`` of that control plane, or of the common address, to be asked."""
        if self.is_first:
            return [f"{self.common_address}:{SSH_PORT}"] if self.common_address else []
        return [f"{self.control_plane_address}:{port}" for port in (SSH_PORT, API_PORT)]

    def network(self, setting: str) -> IPv4Network:
        """One of ``networks``."""
        return IPv4Network(self.networks[setting])

    def ignores(self, name: str) -> bool:
        """Whether one of kubeadm's checks is to warn only; kubeadm ignores upper and lower case."""
        return {"all", name.lower()} & {each.lower() for each in self.ignored} != set()


@dataclass(frozen=True)
class Node:
    """
    A node with its specification and what was gathered from it.

    + facts: their values; of one that could not be read, the ``FactProcessError`` that says why
    + sudo: the message of sudo if it asks for a password; then no fact was read
    """

    name: str
    desired: Specification
    facts: Mapping[type[WholeFact[Any]], Any]
    sudo: str = ""

    def read(self, fact: type[WholeFact[T]]) -> T | None:
        """The value of a fact; None: it could not be read, or a node of this role is not asked."""
        value: T | FactProcessError | None = self.facts.get(fact)
        return None if isinstance(value, FactProcessError) else value

    def known(self, fact: type[WholeFact[T]]) -> T:
        """The value of a fact that could be read; raise ``Unread`` otherwise."""
        value = self.read(fact)
        if value is None:
            raise Unread(self.facts.get(fact) or "no reason given")
        return value

    @property
    def hardware(self) -> dict[str, str]:
        """Its interfaces' hardware addresses, as far as they are known."""
        networks = self.read(Networks)
        return networks.hardware if networks else {}

    @property
    def in_cluster(self) -> bool:
        """Whether kubeadm has set up this node, or is doing so."""
        plane, member = self.read(ControlPlane), self.read(Member)
        if self.desired.role == "control_plane":
            return plane is not None and plane.state in ("finished", "running", "not answering")
        return member is not None and member.state in ("joined", "running")

    @property
    def has_packages(self) -> bool:
        """Whether the Kubernetes packages, which are installed last, are there."""
        parts = (self.read(ControlPlane), self.read(Member))
        return any(each and each.version for each in parts)


class Unread(Exception):
    """A fact could not be read, for the reason that it is given."""
