"""What a restore has to do on this control plane, and how far an interrupted one has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pyinfra import inventory, state
from pyinfra.api.host import Host
from pyinfra.context import ctx_host

from facts.backup import BackupsOfNode, NodeBackup
from facts.kubeadm import (
    RESTORED_FROM,
    ControlPlane,
    ControlPlaneState,
    Member,
    MemberState,
)
from facts.livez import Livez
from facts.pod_logs import RunningPods
from facts.restoration import Restoration, RestorationState
from formats.backup import Manifest
from formats.certificates import fingerprint
from formats.unreadable import Unreadable
from operations.base import read_together

# For an API server that is just starting: the node may have been booted a moment ago.
PATIENCE_S = 45
# What a restore puts on the node before init is begun.
_OF_BACKUP = {
    *("/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/ca.key", "/var/lib/etcd/member"),
    f"{RESTORED_FROM}/manifest.json",
}

# Make the control plane with kubeadm; replace the data of one that is there; wait until it is back.
Way = Literal["initialize", "replace data", "start"]


@dataclass(frozen=True)
class Observed:
    """
    The control plane and the workers.

    + unwell: what is not well of the API server; "": nothing
    + members: of the other nodes of this run that answer
    + pods: that run on each worker of this run: ``{NODE: {UID: "NAMESPACE/NAME"}}``
    + backups: that each node of this run keeps
    + well: other control planes whose API server is well
    + interrupted_on: other control planes on which a restore was interrupted
    + left_for: control planes for whose restore this one, or others, have left the former cluster
    """

    plane: ControlPlaneState
    restoration: RestorationState
    unwell: str
    members: Mapping[str, MemberState]
    pods: Mapping[str, Mapping[str, str]]
    backups: Mapping[str, Sequence[NodeBackup]]
    well: Sequence[str] = ()
    interrupted_on: Sequence[str] = ()
    left_for: Sequence[str] = ()

    @property
    def interrupted(self) -> Manifest | None:
        """The backup that an interrupted restore has put on the node."""
        return self.restoration.backup

    @property
    def authority(self) -> str:
        """Fingerprint of the control plane's CA; "" if there is none, or a power cut damaged it."""
        try:
            return fingerprint(self.plane.ca)
        except Unreadable:
            return ""

    @property
    def is_healthy(self) -> bool:
        """Whether the control plane serves its cluster, and has lost nothing that is known."""
        well = self.plane.state == "finished" and not self.unwell
        return well and not self.restoration.broken

    def step(self, manifest: Manifest) -> str:
        """How far an interrupted restore of this backup has come; "": nothing is restored."""
        step = self.restoration.step if self.interrupted == manifest else ""
        return "" if step == "restored" and not self.restoration.has_data else step

    def way(self, manifest: Manifest) -> Way:
        """What is to be done with the control plane."""
        step, plane = self.step(manifest), self.plane
        incomplete = any(each.startswith("/") for each in plane.missing)
        if step == "initialized":
            return "start"
        if plane.state in ("absent", "running") or incomplete or step == "begun":
            return "initialize"
        if self.authority != manifest.ca:
            return "initialize"
        return "start" if step == "restored" else "replace data"

    def has_leftovers(self, manifest: Manifest) -> bool:
        """Whether ``kubeadm init`` has left more than a restore had put on the node before."""
        return self.step(manifest) == "begun" or not {*self.plane.files} <= _OF_BACKUP

    def is_asked_already(self, manifest: Manifest) -> bool:
        """Whether nothing more is lost by going on with an interrupted restore."""
        return self.step(manifest) != ""


def present(names: Iterable[str]) -> list[Host]:
    """Return those nodes that answer in this run."""
    hosts = [inventory.get_host(name) for name in names]
    return [each for each in hosts if each in state.active_hosts]


def observe(
    workers: Sequence[str] | None = None,
    control_planes: Sequence[str] = (),
    patience: int = 0,
) -> Observed:
    """
    Read the state of this control plane.

    + workers: names of those that are read too, where they answer in this run, and the backups
      that all nodes keep; None: neither
    + control_planes: names of the other ones, likewise
    + patience: seconds to wait for an API server whose files are all there
    """
    here, others = ctx_host.get(), present(control_planes)
    at_work = present(workers or ())
    joined = [*others, *at_work]
    keep = [] if workers is None else [here, *joined]
    plane, restoration, unwell, *found = read_together(
        (here, ControlPlane, {"patience": patience}),
        (here, Restoration, {}),
        (here, Livez, {}),
        *((each, Member, {}) for each in joined),
        *((each, RunningPods, {}) for each in at_work),
        *((each, BackupsOfNode, {}) for each in keep),
        *((each, Livez, {}) for each in others),
        *((each, Restoration, {}) for each in others),
    )
    rest = iter(found)
    members = {each.name: next(rest) for each in joined}
    pods = {each.name: next(rest) for each in at_work}
    backups = {each.name: next(rest) for each in keep}
    well = [each.name for each in others if not next(rest)]
    restorations: dict[str, RestorationState] = {each.name: next(rest) for each in others}
    interrupted = [name for name, each in restorations.items() if each.backup is not None]
    left = {each.left_for for each in (restoration, *restorations.values())} - {""}
    return Observed(
        plane, restoration, unwell, members, pods, backups, well, interrupted, sorted(left)
    )
