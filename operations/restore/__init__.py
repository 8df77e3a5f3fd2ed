"""
Make the same cluster again from a backup: on a blank control plane, or over damaged data of etcd.

``possible`` chooses the backup and asks; what is left to do is then read from the node by each
operation, so a run that was interrupted is continued wherever it ended. Of several control planes
one is restored, as the only member of etcd. The others leave the former cluster before it starts,
and join it anew afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pyinfra import host, state
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_host

import remote
import runs
from facts import reach
from facts.kubeadm import Member
from facts.kubectl import Objects
from facts.livez import Livez
from facts.restoration import Restoration
from formats.backup import Manifest
from formats.etcd import PEER_PORT
from formats.kubeadm.config import API_PORT
from formats.kubernetes_version import parse_reported
from messages import restore as messages
from operations import kubeconfig, packages
from operations.base import Commands, HostFailure, operation, plan, plan_change, read
from operations.confirmation import confirm
from operations.kubelet_watch import wait_until
from operations.restore import checks, reconcile, run, source
from operations.restore.work import PATIENCE_S, Observed, observe, present
from runs import gathering
from runs.output import warned


@dataclass
class _Restore:
    """
    What this run restores.

    + backup: None until it is chosen
    + pods: that ran on each worker before
    + others: the other control planes that answered when it began
    """

    backup: source.Backup | None = None
    pods: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    others: Sequence[Host] = ()

    @property
    def manifest(self) -> Manifest:
        assert self.backup is not None, "restore.possible chooses it"
        return self.backup.manifest


@operation()
def possible(
    cluster: str,
    node: str,
    control_planes: Mapping[str, str],
    named: bool,
    kubernetes_version: str,
    workers: Sequence[str],
    folder: str,
    backup: str | None,
    key_file: str,
    kubeconfig_path: str,
    yes: str | None,
    anyway: bool,
) -> Commands:
    """
    Choose the backup, refuse what would fail or destroy a cluster, show the plan, and ask.

    + cluster: its name, which a person types
    + node: the name of this control plane
    + control_planes: addresses of all, by name
    + named: whether a person has chosen this one
    + kubernetes_version: of the settings, which may be later than the backup's
    + workers: names of all workers
    + folder: where this computer keeps its backups
    + backup: a file; None: the newest one there, or the one that an interrupted run has begun
    + key_file: on this computer, with the passphrase or the secret key of one that is encrypted
    + kubeconfig_path: on this computer
    + yes: the name as it was given with ``--data``: nobody is asked
    + anyway: whether a control plane that is well is restored all the same
    """
    others = [name for name in control_planes if name != node]
    observed = observe(workers, others, PATIENCE_S)
    answering = _answering({name: control_planes[name] for name in others})
    here = _of_run()
    if gathering.of(state).is_asking:
        return
    if here.backup is None:
        interrupted = None if backup else observed.interrupted
        here.backup = source.Backup(interrupted) if interrupted else None
        here.backup = here.backup or source.choose(state, folder, cluster, backup, key_file)
    here.pods, here.others = observed.pods, present(others)
    manifest = here.manifest
    checks.check_backup(manifest, cluster, control_planes, kubernetes_version)
    local = kubeconfig.authority(kubeconfig_path, cluster)
    checks.check_authority(manifest, observed, local)
    checks.check_control_plane(observed, manifest, node, anyway)
    checks.check_others(observed, node, answering, named)
    if backup is None and observed.interrupted != manifest:
        checks.check_newest(manifest, observed, folder)
    away = set(others) - {each.name for each in here.others}
    if len(away) > len(control_planes) // 2 or away & {*observed.left_for}:
        warned(ctx_host.get(), messages.FORMER_MAJORITY_AWAY(nodes=", ".join(sorted(away))))
    for each in _plan(manifest, observed, node):
        plan(each)
    for other in here.others:
        plan(f"{other.name} leaves the former cluster, and joins the restored one anew")
    if observed.is_asked_already(manifest):
        host.noop("the restore that was interrupted goes on")
        return
    plan_change(f"restore the cluster from {manifest.name}")
    yield FunctionCommand(_ask, (cluster, yes), {})


def _answering(control_planes: Mapping[str, str]) -> list[str]:
    """Those that are not part of this run, but whose API server or etcd is reached."""
    there = {each.name for each in present(control_planes)}
    away = {
        f"{address}:{port}": name
        for name, address in control_planes.items()
        if name not in there
        for port in (API_PORT, PEER_PORT)
    }
    if not away:
        return []
    targets = {"addresses": list(away), "archives": [], "registries": [], "seconds": reach.SHORT}
    found = read(reach.Reach, **targets, _sudo=True)["address"]
    return sorted({name for target, name in away.items() if not found[target]})


@operation()
def packages_installed(node: str, repository: Callable[[str], Mapping[str, Any]]) -> Commands:
    """
    Install the Kubernetes packages of the backup's version, if kubeadm is to be run and lacks them.

    + node: the name of the control plane that is restored; this one may be another
    + repository: gives the arguments of ``packages.repository`` for a version
    """
    if host.name != node:
        yield from _packages_of_other(repository)
        return
    observed = observe()
    here = _of_run()
    if gathering.of(state).is_asking:
        return
    if observed.way(here.manifest) != "initialize":
        host.noop("the control plane has its packages")
        return
    release = here.manifest.kubernetes
    # A node that has a later patch already keeps it.
    version = f"{release.major}.{release.minor}" if observed.plane.version else str(release)
    arguments = repository(version)
    yield from packages.add_repository(**arguments)
    yield from packages.install(version, arguments["url"])


def _packages_of_other(repository: Callable[[str], Mapping[str, Any]]) -> Commands:
    if read(Member).version:
        host.noop("the control plane has its packages")
        return
    plan_change("install the Kubernetes packages in the version of the backup")
    if not (gathering.of(state).is_asking or _of_run().backup is None):
        version = str(_of_run().manifest.kubernetes)
        arguments = repository(version)
        yield from packages.add_repository(**arguments)
        yield from packages.install(version, arguments["url"])


@operation()
def copied() -> Commands:
    """Put the backup on the node, unless an interrupted run has done so."""
    observed = read(Restoration)
    here = _of_run()
    if gathering.of(state).is_asking:
        return
    if observed.backup == here.manifest:
        host.noop("the backup is on the node")
        return
    plan_change("put the backup on the node, for root alone, until the restore is done")
    yield FunctionCommand(_copy, (), {})


@operation()
def left(node: str) -> Commands:
    """
    Take this control plane out of the former cluster, so that nothing goes on with its data.

    + node: the name of the control plane that is restored

    Data of etcd is kept in a folder beside it.
    """
    plan_change("stop etcd, and keep its data beside it")
    yield FunctionCommand(_leave, (node,), {})


@operation()
def restored(node: str, address: str, user: str) -> Commands:
    """
    Make the control plane again, or replace its data, and wait until it is well.

    + node, address: of this control plane in the cluster
    + user: whose ``~/.kube/config`` goes with a cluster that is made anew

    Data of etcd that is not of this restore is kept in a folder beside it. ``HostFailure``: another
    control plane has not left the former cluster.
    """
    observed = observe()
    here = _of_run()
    if gathering.of(state).is_asking:
        return
    if failed := [each.name for each in here.others if each in state.failed_hosts]:
        raise HostFailure(messages.NOT_LEFT(nodes=", ".join(failed)))
    way = observed.way(here.manifest)
    plan_change(
        {
            "initialize": "restore keys and data of the cluster, and run kubeadm init over them",
            "replace data": "stop the control plane, and replace the data of etcd",
            "start": "wait until the control plane is well",
        }[way]
    )
    yield FunctionCommand(_restore, (observed, node, address, user), {})


@operation()
def reconciled(control_plane: str, others: Sequence[str], seconds: int) -> Commands:
    """
    Wait until the nodes report to the restored cluster, and list what the backup does not know.

    + control_plane: the name of this node
    + others: names of all others in the inventory
    + seconds: how long to wait for their kubelets

    A node that has joined after the backup is registered again; one that has left after it, and is
    not in the inventory, is deleted from the cluster again.
    """
    plan_change("wait for the kubelets, and compare their pods with those of the backup")
    yield FunctionCommand(_reconcile, (control_plane, others, seconds), {})


@operation()
def finished() -> Commands:
    """Remove the backup from the node, and what other control planes have noted."""
    plan_change("remove the backup from the node")
    yield FunctionCommand(_finish, (), {})


def _of_run() -> _Restore:
    return runs.of(host.state).part(_Restore)


def _plan(manifest: Manifest, observed: Observed, node: str) -> Iterator[str]:
    """Say what is restored, and what becomes of the node and the pods, a line each."""
    taken = f"{manifest.taken:%Y-%m-%d %H:%M} UTC, {_age(manifest)} ago"
    about = f"Kubernetes {manifest.kubernetes}, {manifest.objects} objects"
    yield f"Backup {manifest.name}: taken {taken}; {about}"
    yield {
        "initialize": f"{node} becomes the control plane of the same cluster again",
        "replace data": f"The data of etcd on {node} is replaced, and kept beside it",
        "start": f"A restore of {node} was interrupted, and goes on",
    }[observed.way(manifest)]
    for name, member in observed.members.items():
        if member.state == "joined" and _minor(member.version) > manifest.kubernetes.minor:
            values = {"node": name, "newer": member.version, "version": manifest.kubernetes}
            yield messages.KUBELET_NEWER(**values)
    if counts := [f"{len(pods)} on {name}" for name, pods in observed.pods.items() if pods]:
        yield f"Pods run: {', '.join(counts)}; those that the backup has are not restarted"


def _minor(version: str) -> int:
    """The minor of a version that kubeadm reports; 0 without one."""
    return parse_reported(version).minor if version else 0


def _age(manifest: Manifest) -> str:
    return source.ago(datetime.now(UTC) - manifest.taken)


def _ask(state: State, host: Host, cluster: str, yes: str | None) -> bool:
    lost = f"All that changed in the cluster in the last {_age(_of_run().manifest)} is lost"
    question = f"{lost}. Type its name, {cluster}"
    if confirm(state, question, yes) != cluster:
        raise HostFailure(messages.NOT_CONFIRMED(cluster=cluster))
    return True


def _copy(state: State, host: Host) -> bool:
    here = _of_run()
    assert here.backup is not None, "restore.possible chooses it"
    assert here.backup.archive is not None, "the node has another one"
    run.copy(host, here.backup.archive, here.manifest)
    return True


def _restore(
    state: State, host: Host, observed: Observed, node: str, address: str, user: str
) -> bool:
    manifest = _of_run().manifest
    way = observed.way(manifest)
    if observed.plane.state == "running":
        done = run.follow_init(host)
    elif way == "initialize":
        if observed.has_leftovers(manifest) and not run.reset(host, user):
            return False
        has_data = not observed.has_leftovers(manifest) and observed.step(manifest) == "restored"
        done = run.initialize(host, manifest, node, address, has_data)
    else:
        done = way == "start" or run.replace_data(host, node, address)
    if done:
        run.start(host)
        wait_until(host, "the API server", lambda: not remote.of(host).gather(Livez()))
        # At the endpoint: the address of several control planes comes some seconds later.
        wait_until(host, "the endpoint", lambda: _is_reached(host))
    return done


def _is_reached(host: Host) -> bool:
    answers: bool = remote.of(host).gather(Objects(), ["nodes"]).answers
    return answers


def _leave(state: State, host: Host, node: str) -> bool:
    run.leave(host, state.inventory.get_host(node))
    return True


def _reconcile(
    state: State, host: Host, control_plane: str, others: Sequence[str], seconds: int
) -> bool:
    reconcile.reconcile(state, host, control_plane, others, _of_run().pods, seconds)
    return True


def _finish(state: State, host: Host) -> bool:
    run.finish(host)
    return True
