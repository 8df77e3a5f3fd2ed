"""Upgrade a cluster to a newer version of Kubernetes, in the order of kubeadm's documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pyinfra import host, state
from pyinfra.api import FunctionCommand, StringCommand

import runs
from facts.clock import Clock
from facts.upgrade import ControlPlaneParts
from formats.kubeadm import config
from formats.kubernetes_version import Release, parse_desired, parse_package, parse_reported
from messages import rollout as rollout_messages
from messages import upgrade as messages
from operations import kubeconfig, packages, rollout
from operations.backup import archive
from operations.base import Commands, HostFailure, operation, plan, plan_change, read
from operations.kubeadm.run import listed_images, pull_images
from operations.nodes.control_planes import ControlPlanes
from operations.table import render
from operations.upgrade import checks, run
from operations.upgrade.versions import Versions, observe


@operation()
def followed() -> Commands:
    """
    Wait for a ``kubeadm upgrade`` that an interrupted run has left on a control plane.

    A power cut may have cost a manifest that it has just written; the former one is put back.
    """
    observed = read(ControlPlaneParts)
    lost = [pod for pod, image in observed.images.items() if observed.unfinished and not image]
    if observed.running:
        plan_change("follow the kubeadm upgrade that is running there")
        yield FunctionCommand(run.follow_upgrade, (), {})
    elif lost:
        plan_change(f"put the former manifest back, lost in a power cut: {', '.join(lost)}")
        yield FunctionCommand(run.put_back, (lost,), {})
    else:
        host.noop("no kubeadm upgrade runs")


@operation()
def possible(control_planes: Sequence[str], version: str, url: str) -> Commands:
    """
    Refuse an upgrade that would fail, before the first change; to be run on every node.

    + control_planes: their names; the first looks at the whole cluster
    + version, url: as for ``packages.offered``
    """
    try:
        target = release(version, url)
    except HostFailure:
        # A minor that can't be gone to may not be there: that is the better reason.
        desired = parse_desired(version)
        anything = Release(desired.major, desired.minor, desired.patch or 0)
        checks.check_minors(observe(control_planes, anything), anything)
        raise
    observed = observe(control_planes, target)
    rollout.note(_work(observed, target))
    if host.name == observed.first:
        _show(observed, target, plan)
        checks.check_cluster(observed, target)
    if not is_done(observed, host.name, target):
        role = "control_plane" if host.name in control_planes else "worker"
        found = observed.packages[host.name]
        checks.check_node(found, read(Clock), target, checks.NEEDED_MB[role])
    host.noop(f"Kubernetes {target} can be reached from {observed.cluster}")
    yield from ()


@operation()
def backed_up(
    version: str,
    url: str,
    cluster: str,
    control_planes: Mapping[str, str],
    storage: Mapping[str, object],
) -> Commands:
    """
    Back up the cluster on this control plane, before it is upgraded.

    + version, url: as for ``possible``
    + cluster, control_planes, storage: as for ``backup.taken``
    """
    target = release(version, url)
    observed = observe(list(control_planes), target)
    if observed.control_plane_is_at(target):
        host.noop("the control plane is upgraded")
        return
    plan_change(f"back up the cluster to {storage['folder']}")
    yield FunctionCommand(archive.take, (cluster, control_planes[host.name], storage), {})


@operation()
def images(
    control_planes: Sequence[str], version: str, url: str, image_repository: str
) -> Commands:
    """
    Pull the images of the version that this node needs, where they are missing.

    + control_planes, version, url: as for ``possible``
    + image_repository: where kubeadm's images come from
    """
    target = release(version, url)
    if is_done(observe(control_planes, target), host.name, target):
        host.noop(f"{host.name} is at {target}")
        return
    plan_change(f"pull the images of Kubernetes {target} that are missing")
    listed = listed_images(f"v{target}", image_repository)
    yield FunctionCommand(pull_images, (listed, host.name not in control_planes), {})


@operation()
def applied(
    control_planes: Sequence[str],
    version: str,
    url: str,
    addresses: Mapping[str, str],
    shared: str,
    ignore_preflight_errors: Sequence[str],
    timeouts: Mapping[str, str],
) -> Commands:
    """
    Upgrade the control plane on this node: with ``kubeadm upgrade apply`` the first, ``upgrade
    node`` the others. Of several, the address moves away first.

    + control_planes, version, url: as for ``possible``
    + addresses, shared: of the control planes
    + ignore_preflight_errors: names of preflight checks that only warn
    + timeouts: kubeadm's timeouts, over ``formats.kubeadm.config.UPGRADE_TIMEOUTS``

    It renews the certificates, which the copies of the administrator's kubeconfig then follow.
    """
    target = release(version, url)
    observed = observe(control_planes, target)
    if observed.control_plane_is_at(target, host.name):
        host.noop(f"the control plane is at {target}")
        return
    if gone := sorted(each.name for each in state.failed_hosts):
        raise HostFailure(rollout_messages.OTHER_FAILED(nodes=", ".join(gone)))
    plan_change(f"upgrade the control plane from {_server(observed, host.name)} to {target}")
    _renewals().add(host.name)
    planes = ControlPlanes(addresses, shared)
    arguments = (f"v{target}", list(ignore_preflight_errors))
    yield FunctionCommand(run.spare, (planes, rollout.of_run().ready_seconds), {})
    if host.name == observed.first:
        yield FunctionCommand(run.show_plan, arguments, {})
        yield FunctionCommand(run.run_apply, (*arguments, config.upgrade(timeouts)), {})
    else:
        yield FunctionCommand(run.run_further, (*arguments, config.upgrade(timeouts)), {})
    yield FunctionCommand(run.wait_until_serving, (planes,), {})


@operation()
def node_configured(
    control_planes: Sequence[str], version: str, url: str, ignore_preflight_errors: Sequence[str]
) -> Commands:
    """
    Upgrade the kubelet's configuration of a worker with ``kubeadm upgrade node``.

    + control_planes, version, url, ignore_preflight_errors: as for ``applied``

    It is known to be done by the kubelet's version, since that comes later.
    """
    target = release(version, url)
    if observe(control_planes, target).node_is_at(host.name, target):
        host.noop(f"{host.name} is at {target}")
        return
    plan_change(f"upgrade the configuration of the kubelet to {target}")
    yield FunctionCommand(run.run_node, (list(ignore_preflight_errors),), {})


@operation()
def restarted(
    control_planes: Sequence[str],
    version: str,
    url: str,
    addresses: Mapping[str, str],
    shared: str,
    seconds: int,
) -> Commands:
    """
    Restart the kubelet whose package was upgraded, and wait until the cluster knows its version.

    + control_planes, version, url: as for ``possible``
    + addresses, shared: of the control planes
    + seconds: how long to wait
    """
    target = release(version, url)
    observed = observe(control_planes, target)
    if observed.node_is_at(host.name, target):
        host.noop(f"the kubelet {target} runs")
        return
    plan_change(f"restart the kubelet, and wait until {target} runs")
    yield StringCommand("systemctl daemon-reload && systemctl restart kubelet.service")
    arguments = (ControlPlanes(addresses, shared), f"v{target}", seconds)
    yield FunctionCommand(run.wait_for_kubelet, arguments, {})


@operation()
def compared(control_planes: Sequence[str], version: str, url: str) -> Commands:
    """
    Compare the versions of all parts on all nodes, and show them; to be run on the control plane.

    + control_planes, version, url: as for ``possible``

    ``HostFailure``: a part is not at the version, on a node of this run.
    """
    target = release(version, url)
    observed = observe(control_planes, target)
    if all(is_done(observed, name, target) for name in observed.packages):
        if state.is_executing and (rollout.of_run().work or _renewals()):
            _show(observed, target, host.log)
        host.noop(f"all parts are at {target}")
        return
    plan_change("compare the versions of all parts")
    yield StringCommand("true")  # what stands behind it is read after the upgrade
    observed = observe(control_planes, target)
    _show(observed, target, host.log)
    left = [name for name in observed.packages if not is_done(observed, name, target)]
    if left:
        raise HostFailure(messages.INCOMPLETE(version=target, parts=", ".join(left)))


def release(version: str, url: str) -> Release:
    """
    Return the release that the cluster is to have.

    + version, url: as for ``packages.offered``, which raises ``HostFailure``
    """
    found = parse_package(packages.offered(version, url))
    assert found is not None, "packages.offered chooses a release"
    return found


def is_done(observed: Versions, node: str, target: Release) -> bool:
    """Whether nothing is left to do on a node; on a control plane's, also in the cluster."""
    if node in observed.parts and not observed.control_plane_is_at(target, node):
        return False
    return observed.node_is_at(node, target)


def _renewals() -> kubeconfig.Renewals:
    return runs.of(host.state).part(kubeconfig.Renewals)


def _server(observed: Versions, node: str) -> Release:
    """The version of a control plane that is not upgraded completely."""
    return min(observed.cluster, parse_reported(observed.parts[node].server))


def _work(observed: Versions, target: Release) -> list[str]:
    """Why this node has work in the roll-out."""
    found = []
    if host.name in observed.parts and not observed.control_plane_is_at(target, host.name):
        found.append(f"control plane {_server(observed, host.name)} → {target}")
    if not observed.node_is_at(host.name, target):
        found.append(f"kubelet {observed.kubelets[host.name]} → {target}")
    return found


def _show(observed: Versions, target: Release, show: Callable[[str], None]) -> None:
    for line in render(f"Kubernetes {target}", observed.rows(target)):
        show(line)
