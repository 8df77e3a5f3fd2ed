"""What an upgrade is refused for, before its first change."""

from __future__ import annotations

from facts.clock import ClockState
from facts.packages import PackagesState
from formats import metrics
from formats.kubernetes_version import Release, parse_package, parse_reported
from messages import kubernetes as kubernetes_messages
from messages import upgrade as messages
from operations import clock, containerd
from operations.base import HostFailure, understood
from operations.upgrade.versions import Versions

# The packages and images of two versions; on the control plane also a backup.
NEEDED_MB = {"control_plane": 1500, "worker": 900}


def check_cluster(observed: Versions, target: Release) -> None:
    """Raise ``HostFailure`` where the cluster can't go to a version."""
    server = max(parse_reported(each.server) for each in observed.parts.values())
    for part, release in (("the cluster", observed.cluster), ("the API server", server)):
        if release > target:
            raise HostFailure(messages.DOWNGRADE(part=part, observed=release, desired=target))
    for node, kubelet in observed.kubelets.items():
        if kubelet > target:
            values = {"node": node, "observed": kubelet, "desired": target}
            raise HostFailure(messages.KUBELET_NEWER(**values))
    check_minors(observed, target)
    for runtime in observed.runtimes.values():
        containerd.check_version(runtime, str(target))
    _check_apis(observed, target)


def check_minors(observed: Versions, target: Release) -> None:
    """Raise ``HostFailure`` for an earlier minor, and for one that is not the next."""
    if target.minor < observed.cluster.minor:
        values = {"part": "the cluster", "observed": observed.cluster, "desired": target}
        raise HostFailure(messages.DOWNGRADE(**values))
    oldest = {"the cluster": observed.cluster} | {
        f"the kubelet of {node}": kubelet for node, kubelet in observed.kubelets.items()
    }
    part = min(oldest, key=lambda each: oldest[each])
    way = oldest[part].minors_to(target)
    if len(way) > 2:
        raise HostFailure(
            messages.TOO_FAR(
                part=part,
                observed=oldest[part],
                desired=target,
                way=" → ".join(way),
                next=way[1],
            )
        )


def _check_apis(observed: Versions, target: Release) -> None:
    """Raise ``HostFailure`` where APIs are in use that go away on the way to a version."""
    if observed.control_plane_is_at(target):
        return  # what is counted can no longer be removed by it
    for node, parts in observed.parts.items():
        with understood("the API server's metrics"):
            apis = metrics.removed_apis(parts.deprecated, target.minor)
        if apis:
            values = {"desired": target, "apis": ", ".join(apis), "node": node}
            raise HostFailure(messages.REMOVED_APIS(**values))


def check_node(observed: PackagesState, time: ClockState, target: Release, needed_mb: int) -> None:
    """Raise ``HostFailure`` where a node can't get the packages and images of a version."""
    for name, version in observed.installed.items():
        release = parse_package(version)
        if name != "kubernetes-cni" and release is not None and release > target:
            values = {"package": name, "installed": release, "desired": target}
            minor = f"{release.major}.{release.minor}"
            raise HostFailure(kubernetes_messages.NO_DOWNGRADE(**values, minor=minor))
    if observed.free_mb < needed_mb:
        raise HostFailure(messages.DISK_FULL(free=observed.free_mb, needed=needed_mb))
    if clock.is_far(time):
        raise HostFailure(messages.CLOCK_WRONG(distance=clock.distance(time)))
