"""
Remove what the settings no longer have, as far as bramble made it: see ``node_record``.

Only a whole run does: one that declares everything that the settings have. What is part of the
guard's transaction is removed there (``network``), everything else at the end (``rest``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from pyinfra import host, state
from pyinfra.api import FunctionCommand, StringCommand
from pyinfra.api.command import PyinfraCommand
from pyinfra.context import ctx_host

import runs
from facts.backup_schedule import SERVICE as BACKUP_SERVICE
from facts.backup_schedule import TIMER as BACKUP_TIMER
from facts.keepalived import UNIT as KEEPALIVED
from facts.kubectl_proxy import UNIT as KUBECTL_PROXY
from formats.node_record import Entry, NodeRecord
from messages import nodes as messages
from operations import (
    authorized_keys,
    containerd,
    files,
    guard,
    interfaces,
    iptables,
    kubeconfig,
    node_record,
    nodes,
    resolv_conf,
    sysctl,
    teardown,
    units,
)
from operations.backup import schedule
from operations.base import (
    Commands,
    HostFailure,
    hide,
    note_removed,
    operation,
    plan,
    plan_change,
)
from runs import gathering, lock
from runs.record import Work
from workstation import context_record

# What removes a resource of each kind, given "KIND NAME" and its entry. It shows what it will do
# before its first command, yields no command if nothing is left, and raises ``ChangedSince``.
KINDS: Mapping[str, Callable[[str, Entry], Commands]] = {
    "rules": iptables.remove,
    "interface": interfaces.remove,
    "resolver": resolv_conf.remove,
    "key": authorized_keys.remove,
    "unit": units.remove,
    "user": schedule.remove_user,
    "file": files.remove,
    "sysctl": sysctl.remove,
    "mirrors": containerd.remove_mirrors,
    "label": nodes.remove_label,
    "kubeconfig": kubeconfig.remove,
}


_OF_CONTROL_PLANES = [
    f"unit {unit}" for unit in (KEEPALIVED, KUBECTL_PROXY, BACKUP_TIMER, BACKUP_SERVICE)
]


@dataclass
class _Left:
    """
    What stays, and stays recorded.

    + resources: those that were changed since, by node
    + networks: nodes on which the guarded ones were looked at: on others they stay
    """

    resources: dict[str, set[str]] = field(default_factory=dict)
    networks: set[str] = field(default_factory=set)


@guard.operation
def network(
    whole: bool,
    nodes: Mapping[str, str],
    settings: str,
    record: str,
    take_over: str | None = None,
) -> Commands:
    """
    Remove what is part of the guard's transaction; to be called last inside of ``guard.change``.

    + whole, nodes, settings, record, take_over: as for ``rest``
    """
    commands = {}
    if whole:
        _check_owner(True, nodes, settings, record, take_over)
        commands = _removals(guarded=True)
        runs.of(state).part(_Left).networks.add(host.name)
    if not commands:
        host.noop("nothing to remove")
        return
    recorded = node_record.of(ctx_host.get()).entries
    entries = {resource: recorded[resource] for resource in commands}
    text = NodeRecord(entries).render()
    for resource, each in commands.items():
        for command in each:
            if isinstance(command, StringCommand) and not isinstance(command, guard.Step):
                what = resource.partition(" ")[2]
                command = guard.Step.of(command, what=what, paths=recorded[resource].keeps)
            if isinstance(command, guard.Step):
                command.entries, text = text, ""  # once
            yield command


@operation()
def rest(
    whole: bool,
    nodes: Mapping[str, str],
    settings: str,
    record: str,
    take_over: str | None = None,
) -> Commands:
    """
    Remove everything else, and record what the settings have now; the last step of a whole run.

    + whole: whether this run declares everything that the settings have: it is ``cluster.py``, for
      all nodes, with the settings as they are written
    + nodes: the address of each node of the inventory, by name
    + settings: their fingerprint
    + record: path of the record on this computer, which knows the settings of its last whole run
    + take_over: name of a node on which most may be removed, though it was set up from another
      inventory, or with other settings of the same one
    """
    if not whole:
        hide()
        host.noop("only a run of cluster.py for all nodes removes anything")
        return
    _check_owner(False, nodes, settings, record, take_over)
    commands = _removals(guarded=False)
    if not commands:
        host.noop("nothing to remove")
    for each in commands.values():
        yield from each
    if state.is_executing:
        node_record.write(ctx_host.get(), lambda record: _settled(record, nodes, settings))


@operation()
def of_control_plane(cluster: str = "", yes: str | None = None) -> Commands:
    """
    Remove the units that a node has as a control plane, though the settings still have them.

    Its address goes to another one then.

    + cluster, yes: as for ``teardown.reset``
    """
    node = ctx_host.get()
    recorded = node_record.of(node).entries
    found, commands = [], []
    for resource in _OF_CONTROL_PLANES:
        if resource not in recorded:
            continue
        try:
            commands += list(KINDS[_kind(resource)](resource, recorded[resource]))
            found.append(resource)
        except node_record.ChangedSince as changed:
            plan(messages.CHANGED_SINCE(resource=resource, command=changed))
    if not commands:
        hide()
        host.noop("no units of a control plane")
        return
    note_removed(*found)
    plan_change(f"stop and remove {', '.join(found)}", *found)
    yield FunctionCommand(teardown.check_confirmed, (cluster, yes), {})
    yield from commands
    node_record.write(node, lambda record: record.without(found))


def _check_owner(
    guarded: bool, nodes: Mapping[str, str], settings: str, record: str, take_over: str | None
) -> None:
    """
    ``HostFailure`` if another inventory, or another checkout, has use for most of the node.

    + guarded: whether only that is known of the settings which is part of the guard's transaction
    """
    known = node_record.of(ctx_host.get())
    if gathering.of(state).is_asking or take_over == host.name:
        return
    judged = [name for name, entry in known.entries.items() if entry.guarded or not guarded]
    count = len(_undeclared().keys() & judged)
    if 2 * count <= len(judged):
        return
    if not known.is_of(nodes):
        others = ", ".join(known.nodes)
        raise HostFailure(messages.OTHER_INVENTORY(nodes=others, count=count, node=host.name))
    if known.settings not in ("", settings, context_record.read(record).settings):
        raise HostFailure(messages.OTHER_SETTINGS(by=known.by, count=count, node=host.name))


def _undeclared() -> dict[str, Entry]:
    """What is recorded and no longer declared, of the kinds that this bramble knows."""
    declared = _declared()
    if not state.is_executing:  # other operations show that they remove it
        declared |= {name for work in _works() for name in work.removed}
    return {
        resource: entry
        for resource, entry in node_record.of(ctx_host.get()).entries.items()
        if resource not in declared and _kind(resource) in KINDS
    }


def _removals(guarded: bool) -> dict[str, list[PyinfraCommand | str]]:
    """The commands that remove each resource which is recorded and no longer declared."""
    node = ctx_host.get()
    record = node_record.of(node)
    if gathering.of(state).is_asking:
        return {}  # what is declared is not known yet
    if why := node_record.damage(node):
        plan(messages.RECORD_DAMAGED(reason=why))
    if record.newer:
        plan(messages.RECORD_NEWER())
    undeclared = _undeclared()
    left = runs.of(state).part(_Left).resources.setdefault(host.name, set())
    commands: dict[str, list[PyinfraCommand | str]] = {}
    for resource in sorted(undeclared, key=lambda each: [*KINDS].index(_kind(each))):
        entry = undeclared[resource]
        if entry.guarded != guarded:
            continue
        remove: Callable[[str, Entry], Commands] = KINDS[_kind(resource)]
        if remove is authorized_keys.remove:
            before = [undeclared[other] for other in commands if _kind(other) == "key"]
            remove = partial(authorized_keys.remove, others=before)
        try:
            commands[resource] = list(remove(resource, entry))
            left.discard(resource)
        except node_record.ChangedSince as changed:
            left.add(resource)
            plan(messages.CHANGED_SINCE(resource=resource, command=changed))
    commands = {resource: each for resource, each in commands.items() if each}
    if commands:
        note_removed(*commands)
        plan(f"No longer in the settings, to be removed: {', '.join(commands)}")
    elif not left:
        hide()
    return commands


def _settled(record: NodeRecord, nodes: Mapping[str, str], settings: str) -> NodeRecord:
    """The record at the end of a whole run, in which everything was done."""
    left = runs.of(state).part(_Left)
    stays = left.resources[host.name].union(
        *(work.declared.difference(work.removed) for work in _works())
    )
    declared = {name: entry for work in _works() for name, entry in work.recorded.items()}
    entries = {}
    for resource, entry in record.entries.items():
        if resource in declared:
            entries[resource] = replace(declared[resource], before=entry.before, keeps=entry.keeps)
        elif (
            resource in stays
            or _kind(resource) not in KINDS
            or (entry.guarded and host.name not in left.networks)
        ):
            entries[resource] = entry
    if not record.complete:  # what was there already is adopted
        for resource, entry in declared.items():
            entries.setdefault(resource, replace(entry, before=None, keeps=()))
    new = replace(record, entries=entries, complete=True, settings=settings, nodes=nodes)
    now = f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"
    return record if new == record else replace(new, by=f"{lock.operator()}, {now}")


def _declared() -> set[str]:
    return {name for work in _works() for name in work.declared.difference(work.removed)}


def _works() -> list[Work]:
    return [*runs.of(state).record.on(host.name)]


def _kind(resource: str) -> str:
    return resource.partition(" ")[0]
