"""What a restore is refused for, before its first change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from formats.backup import Manifest
from formats.certificates import fingerprint
from formats.kubernetes_version import parse_desired
from messages import restore as messages
from operations import kubeadm
from operations.base import HostFailure, understood
from operations.restore.work import Observed


def check_backup(
    manifest: Manifest, cluster: str, control_planes: Mapping[str, str], version: str
) -> None:
    """
    Raise ``HostFailure`` for a backup that is not of the settings' cluster, or too new for it.

    + cluster: its name
    + control_planes: addresses by name
    + version: the settings' `kubernetes_version`
    """
    for what, own, expected in (
        ("cluster", manifest.cluster, [cluster]),
        ("control plane", manifest.node, control_planes),
        ("address", manifest.address, [control_planes.get(manifest.node, "")]),
    ):
        if own not in expected:
            raise _other(manifest, f"its {what} is {own}, not {' or '.join(expected)}")
    desired = parse_desired(version)
    if (manifest.kubernetes.major, manifest.kubernetes.minor) > (desired.major, desired.minor):
        minor = f"{manifest.kubernetes.major}.{manifest.kubernetes.minor}"
        values = {"observed": manifest.kubernetes, "desired": desired, "minor": minor}
        raise HostFailure(messages.NEWER_VERSION(**values))


def check_authority(manifest: Manifest, observed: Observed, kubeconfig: str) -> None:
    """
    Raise ``HostFailure`` where the cluster has another certificate authority than the backup.

    The other nodes know it; where none has joined, the control plane itself, else this computer.

    + kubeconfig: the authority in the kubeconfig on this computer (PEM); "" without one
    """
    complete = ("joined", "control plane")
    joined = {name: each.ca for name, each in observed.members.items() if each.state in complete}
    with understood("the cluster's ca.crt on another node"):
        known = {name: fingerprint(pem) for name, pem in joined.items()}
    if not known and observed.authority:
        known = {manifest.node: observed.authority}
    if not known and kubeconfig:
        with understood("the kubeconfig"):
            known = {"the kubeconfig on this computer": fingerprint(kubeconfig)}
    others = [name for name, authority in known.items() if authority != manifest.ca]
    if others:
        raise _other(manifest, f"{', '.join(others)} has another certificate authority")


def check_newest(manifest: Manifest, observed: Observed, folder: str) -> None:
    """
    Raise ``HostFailure`` where a node keeps a newer backup of the same cluster.

    + folder: where this computer keeps its backups
    """
    kept = [
        (each.manifest.taken, node, each.path)
        for node, found in observed.backups.items()
        for each in found
        if each.is_good and each.manifest and each.manifest.ca == manifest.ca
    ]
    taken, node, path = max(kept, default=(manifest.taken, "", ""))
    if taken > manifest.taken:
        name = path.rpartition("/")[2]
        raise HostFailure(messages.NEWER_ON_NODE(node=node, path=path, name=name, folder=folder))


def check_control_plane(observed: Observed, manifest: Manifest, node: str, anyway: bool) -> None:
    """
    Raise ``HostFailure`` for a node that is a worker, or a control plane that is well.

    + anyway: whether the state of one that is well is to be replaced all the same
    """
    if observed.plane.state == "worker":
        raise HostFailure(kubeadm.incomplete(observed.plane))
    well = [*([node] if observed.is_healthy else []), *observed.well]
    if well and observed.interrupted != manifest and not anyway:
        raise HostFailure(messages.ALIVE(node=", ".join(well)))


def check_others(observed: Observed, node: str, answering: Sequence[str], named: bool) -> None:
    """
    Raise ``HostFailure`` where another control plane has begun to be restored, or would go on with
    the former data.

    + node: the name of this control plane
    + answering: those that are not part of this run, and whose API server or etcd is reached
    + named: whether a person has named the control plane that is restored
    """
    begun = [*observed.interrupted_on, *(each for each in observed.left_for if each != node)]
    if begun and not observed.interrupted and not named:
        raise HostFailure(messages.INTERRUPTED_ELSEWHERE(node=begun[0]))
    if answering:
        raise HostFailure(messages.OUTSIDE_OF_RUN(nodes=", ".join(answering)))


def _other(manifest: Manifest, reason: str) -> HostFailure:
    return HostFailure(messages.OTHER_CLUSTER(backup=manifest.name, reason=reason))
