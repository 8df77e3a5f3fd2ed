"""Upgrade a cluster to a newer version of Kubernetes, in the order of kubeadm's documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyinfra import host, state
from pyinfra.api import FunctionCommand, StringCommand

import runs
from facts.clock import Clock
from facts.upgrade import ControlPlaneParts
from formats.kubernetes_version import Release, parse_desired, parse_package
from messages import rollout as rollout_messages
from messages import upgrade as messages
from operations import kubeconfig, packages, rollout
from operations.base import Commands, HostFailure, operation, plan, plan_change, read
from operations.table import render
from operations.upgrade import checks, run, snapshot
from operations.upgrade.versions import Versions, observe


@operation()
def followed() -> Commands:
    """Wait for a ``kubeadm upgrade`` that an interrupted run has left on this control plane."""
    if not read(ControlPlaneParts).running:
        host.noop("no kubeadm upgrade runs")
        return
    plan_change("follow the kubeadm upgrade that is running there")
    yield FunctionCommand(run.follow_upgrade, (), {})


@operation()
def possible(control_plane: str, version: str, url: str) -> Commands:
    """
    Refuse an upgrade that would fail, before the first change; to be run on every node.

    + control_plane: the name of its node, which looks at the whole cluster
    + version, url: as for ``packages.offered``
    """
    try:
        target = release(version, url)
    except HostFailure:
        # A minor that can't be gone to may not be there: that is the better reason.
        desired = parse_desired(version)
        anything = Release(desired.major, desired.minor, desired.patch or 0)
        checks.check_minors(observe(control_plane, anything), anything)
        raise
    observed = observe(control_plane, target)
    rollout.note(_work(observed, target))
    if host.name == control_plane:
        _show(observed, target, plan)
        checks.check_cluster(observed, target)
    if not is_done(observed, host.name, target):
        role = "control_plane" if host.name == control_plane else "worker"
        found = observed.packages[host.name]
        checks.check_node(found, read(Clock), target, checks.NEEDED_MB[role])
    host.noop(f"Kubernetes {target} can be reached from {observed.cluster}")
    yield from ()


@operation()
def snapshot_taken(control_plane: str, version: str, url: str) -> Commands:
    """
    Save a snapshot of etcd and /etc/kubernetes, before the control plane is upgraded.

    + control_plane, version, url: as for ``possible``
    """
    target = release(version, url)
    observed = observe(control_plane, target)
    if observed.control_plane_is_at(target):
        host.noop("the control plane is upgraded")
        return
    plan_change("save a snapshot of etcd and /etc/kubernetes")
    yield FunctionCommand(snapshot.save, (str(observed.cluster),), {})


@operation()
def images(control_plane: str, version: str, url: str, image_repository: str) -> Commands:
    """
    Pull the images of the version that this node needs, where they are missing.

    + control_plane, version, url: as for ``possible``
    + image_repository: where kubeadm's images come from
    """
    target = release(version, url)
    if is_done(observe(control_plane, target), host.name, target):
        host.noop(f"{host.name} is at {target}")
        return
    plan_change(f"pull the images of Kubernetes {target} that are missing")
    arguments = (f"v{target}", image_repository, host.name != control_plane)
    yield FunctionCommand(run.pull_images, arguments, {})


@operation()
def applied(
    control_plane: str, version: str, url: str, ignore_preflight_errors: Sequence[str]
) -> Commands:
    """
    Upgrade the control plane on this node with ``kubeadm upgrade apply``.

    + control_plane, version, url: as for ``possible``
    + ignore_preflight_errors: names of preflight checks that only warn

    It renews the certificates, which the copies of the administrator's kubeconfig then follow.
    """
    target = release(version, url)
    observed = observe(control_plane, target)
    if observed.control_plane_is_at(target):
        host.noop(f"the control plane is at {target}")
        return
    if gone := sorted(each.name for each in state.failed_hosts):
        raise HostFailure(rollout_messages.OTHER_FAILED(nodes=", ".join(gone)))
    plan_change(f"upgrade the control plane from {observed.cluster} to {target}")
    _renewal().planned = True
    arguments = (f"v{target}", list(ignore_preflight_errors))
    yield FunctionCommand(run.show_plan, arguments, {})
    yield FunctionCommand(run.run_apply, arguments, {})


@operation()
def node_configured(
    control_plane: str, version: str, url: str, ignore_preflight_errors: Sequence[str]
) -> Commands:
    """
    Upgrade the kubelet's configuration of a worker with ``kubeadm upgrade node``.

    + control_plane, version, url, ignore_preflight_errors: as for ``applied``

    It is known to be done by the kubelet's version, since that comes later.
    """
    target = release(version, url)
    if observe(control_plane, target).node_is_at(host.name, target):
        host.noop(f"{host.name} is at {target}")
        return
    plan_change(f"upgrade the configuration of the kubelet to {target}")
    yield FunctionCommand(run.run_node, (list(ignore_preflight_errors),), {})


@operation()
def restarted(control_plane: str, version: str, url: str, seconds: int) -> Commands:
    """
    Restart the kubelet whose package was upgraded, and wait until the cluster knows its version.

    + control_plane, version, url: as for ``possible``
    + seconds: how long to wait
    """
    target = release(version, url)
    observed = observe(control_plane, target)
    if observed.node_is_at(host.name, target):
        host.noop(f"the kubelet {target} runs")
        return
    plan_change(f"restart the kubelet, and wait until {target} runs")
    yield StringCommand("systemctl daemon-reload && systemctl restart kubelet.service")
    arguments = (control_plane, f"v{target}", seconds)
    yield FunctionCommand(run.wait_for_kubelet, arguments, {})


@operation()
def compared(control_plane: str, version: str, url: str) -> Commands:
    """
    Compare the versions of all parts on all nodes, and show them; to be run on the control plane.

    + control_plane, version, url: as for ``possible``

    ``HostFailure``: a part is not at the version, on a node of this run.
    """
    target = release(version, url)
    observed = observe(control_plane, target)
    if all(is_done(observed, name, target) for name in observed.packages):
        if state.is_executing and (rollout.of_run().work or _renewal().planned):
            _show(observed, target, host.log)
        host.noop(f"all parts are at {target}")
        return
    plan_change("compare the versions of all parts")
    yield StringCommand("true")  # what stands behind it is read after the upgrade
    observed = observe(control_plane, target)
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
    """Whether nothing is left to do on a node; on the control plane's, also in the cluster."""
    if node == observed.control_plane and not observed.control_plane_is_at(target):
        return False
    return observed.node_is_at(node, target)


def _renewal() -> kubeconfig.Renewal:
    return runs.of(host.state).part(kubeconfig.Renewal)


def _work(observed: Versions, target: Release) -> list[str]:
    """Why this node has work in the roll-out."""
    found = []
    if host.name == observed.control_plane and not observed.control_plane_is_at(target):
        found.append(f"control plane {observed.cluster} → {target}")
    if not observed.node_is_at(host.name, target):
        found.append(f"kubelet {observed.kubelets[host.name]} → {target}")
    return found


def _show(observed: Versions, target: Release, show: Callable[[str], None]) -> None:
    for line in render(f"Kubernetes {target}", observed.rows(target)):
        show(line)
