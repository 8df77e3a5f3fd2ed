"""Remove the contexts that earlier settings put into kubeconfigs on this computer."""

from __future__ import annotations

from collections.abc import Collection

from pyinfra import host, state
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import runs
from formats import kubeconfig as kubeconfig_format
from messages import kubernetes as messages
from operations import kubeconfig
from operations.base import Commands, hide, note_removed, operation, plan, plan_change
from workstation import context_record


@operation()
def removed(
    record: str, path: str, contexts: Collection[str], whole: bool, settings: str = ""
) -> Commands:
    """
    Remove the contexts that are recorded on this computer, and that the settings no longer have.

    To be run on one node, the last of a whole run. A context that was changed since is left.

    + record: path of the record, which ``kubeconfig.operator`` and ``kubeconfig.proxy`` write
    + path: the present kubeconfig
    + contexts: those in it that the settings have
    + whole: as for ``removals.rest``; False removes none
    + settings: their fingerprint, which is recorded; "": the cluster was deleted
    """
    known = context_record.read(record).entries if whole else {}
    works = () if state.is_executing else runs.of(state).record.on(host.name)
    shown = {name for work in works for name in work.removed}  # another operation removes them
    desired = {context_record.resource(context, path): context for context in contexts}
    commands, left, gone = [], [], []
    for resource in known.keys() - desired:
        entry = known[resource]
        file, context = str(entry.arguments["path"]), str(entry.arguments["context"])
        if f"context {context}" in shown:
            continue
        text = kubeconfig.read_local(file)
        content = kubeconfig_format.content(text, context)
        if content and not entry.holds(content):
            command = f"kubectl --kubeconfig={file} config delete-context {context}"
            left.append(messages.CONTEXT_CHANGED(context=context, path=file, command=command))
            continue
        gone.append(resource)
        if content:
            kubeconfig.edit(file, text, None, context)
            plan_change(f"remove the context {context} from {file} on this computer", resource)
            commands.append(FunctionCommand(_remove, (file, context), {}))
    if commands:
        note_removed(*gone)
        plan(f"No longer in the settings, to be removed: {', '.join(gone)}")
    for message in left:
        plan(message)
    if not commands:
        host.noop("nothing to remove")
    if not commands and not left:
        hide()
    yield from commands
    if whole and state.is_executing:
        context_record.remove(record, gone, settings)
        # Those that were there already are adopted.
        for resource in desired.keys() - known:
            kubeconfig.note(record, path, desired[resource], kubeconfig.read_local(path))


def _remove(state: State, host: Host, path: str, context: str) -> bool:
    text = kubeconfig.edit(path, kubeconfig.read_local(path), None, context)
    kubeconfig.write(host, path, text)
    return True
