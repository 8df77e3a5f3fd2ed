"""Back up the cluster: its objects and its keys, from a control plane to this computer."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from pyinfra import host, state
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import runs
from facts.backup import BackupsOfNode, ControlPlane
from formats.backup import Manifest
from messages import backups as messages
from operations.backup import archive, key
from operations.backup.member import healthiest
from operations.base import Commands, HostFailure, declare, operation, plan, plan_change, read
from runs import gathering


@dataclass
class _Maker:
    """+ name: of the control plane that makes the backup of this run; "": it is not chosen"""

    name: str = ""


@operation()
def taken(
    cluster: str, control_planes: Mapping[str, str], storage: Mapping[str, object]
) -> Commands:
    """
    Back up the cluster on one of its control planes, the healthiest; the archive stays there, and
    is copied to this computer. To be run on all of them.

    + cluster: its name
    + control_planes: addresses by name
    + storage: the arguments of ``archive.Storage``

    ``HostFailure``: etcd does not run, its snapshot can't be restored, or a key is missing.
    """
    if (maker := _maker(control_planes)) != host.name:
        host.noop(f"{maker} makes the backup")
        return
    if not read(ControlPlane).exists:
        raise HostFailure(messages.NO_CLUSTER())
    declare(f"backup {cluster}")
    plan_change(f"back up the cluster to {storage['folder']}", f"backup {cluster}")
    address = control_planes[host.name]
    yield FunctionCommand(archive.take, (cluster, address, storage), {})


def _maker(control_planes: Mapping[str, str]) -> str:
    """Return the control plane that makes the backup of this run; "": none of them is part of it"""
    if gathering.of(state).is_asking:
        return healthiest(control_planes)
    maker = runs.of(state).part(_Maker)
    maker.name = maker.name or healthiest(control_planes)
    return maker.name


@operation()
def offered(
    answer: str | None,
    confirmed: bool,
    cluster: str,
    control_planes: Mapping[str, str],
    storage: Mapping[str, object],
) -> Commands:
    """
    Ask whether to back up the cluster before it is deleted, and do so; without it nothing is
    deleted in this run. To be run on all control planes.

    + answer: "yes" or "no", given with ``--data``: nobody is asked
    + confirmed: whether the deletion was confirmed with ``--data``: nobody is asked either
    + cluster, control_planes, storage: as for ``taken``

    ``HostFailure``: it was to be made, and could not be.
    """
    if (maker := _maker(control_planes)) != host.name:
        host.noop(f"{maker} makes the backup")
        return
    asks = answer is None and not confirmed and sys.stdin.isatty()
    exists = read(ControlPlane).exists
    if not exists or not (asks or answer == "yes"):
        if exists and answer is None:
            plan("No backup is made: --data backup=yes makes one")
        host.noop("no backup is made")
        return
    declare(f"backup {cluster}")
    plan_change(f"offer to back up the cluster to {storage['folder']}", f"backup {cluster}")
    address = control_planes[host.name]
    yield FunctionCommand(_offer, (asks, cluster, address, storage), {})


def _offer(
    state: State, host: Host, asks: bool, cluster: str, address: str, storage: Mapping[str, object]
) -> bool:
    if asks and not click.confirm("    Make a last backup", default=True, err=True):
        return True
    try:
        return archive.take(state, host, cluster, address, storage)
    except HostFailure as failure:
        runs.of(state).stopped = "the last backup was not made"
        raise HostFailure(messages.NO_LAST_BACKUP(reason=failure)) from failure


@operation()
def fetched(control_planes: Mapping[str, str], storage: Mapping[str, object]) -> Commands:
    """
    Copy the newest backup that this node has to this computer, if no control plane has made one.

    + control_planes: as for ``taken``
    + storage: the arguments of ``archive.Storage``
    """
    maker = _maker(control_planes)
    if maker and state.inventory.get_host(maker) not in state.failed_hosts:
        host.noop(f"{maker} has made one")
        return
    declare("backup copy")
    found = read(BackupsOfNode)
    good = [(each.manifest, each.path) for each in found if each.is_good and each.manifest]
    if not good:
        raise HostFailure(messages.NO_COPY(node=host.name))
    manifest, path = max(good, key=lambda each: each[0].taken)
    folder = Path(str(storage["folder"]))
    if any((folder / f"{manifest.name}{suffix}").exists() for suffix in ("", ".age")):
        host.noop(f"the newest backup of this node is in {folder}")
        return
    plan_change(f"copy the newest backup of this node, {path}, to {folder}", "backup copy")
    yield FunctionCommand(_fetch, (path, manifest, storage), {})


def _fetch(
    state: State, host: Host, path: str, manifest: Manifest, storage: Mapping[str, object]
) -> bool:
    into = archive.Storage(**storage)  # type: ignore[arg-type]
    if path.endswith(".age"):
        archive.store(host, path, into, None, manifest)
    else:
        encrypt = key.encryption(state, into.encryption, into.key_file)
        archive.store(host, path, into, encrypt)
    return True
