"""Wait until the cluster's nodes are Ready, and set their labels and taints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pyinfra import host, state
from pyinfra.api import FunctionCommand, QuoteString, StringCommand

from facts.kubectl import ADMIN_CONF, Objects
from formats.node import CONTROL_PLANE_TAINT, find, nodes
from formats.node_record import Entry
from formats.pods import CORDON, cordon
from messages import kubernetes as messages
from operations.base import (
    Commands,
    HostFailure,
    declare,
    declare_recorded,
    hide,
    operation,
    plan_change,
    read,
)
from operations.node_record import ChangedSince
from operations.nodes import drain
from operations.nodes.rollouts import SYSTEM, pending, wait_until_ready

_TAINT = (CONTROL_PLANE_TAINT["key"], CONTROL_PLANE_TAINT["effect"])
_ABSENT = "-"  # no value of a label
_UNCORDON = json.dumps(
    {"metadata": {"annotations": {CORDON: None}}, "spec": {"unschedulable": None}}
)
FLANNEL = "kube-flannel/daemonset/kube-flannel-ds"


@operation()
def ready(names: Sequence[str], seconds: int = 300) -> Commands:
    """
    Wait until nodes are Ready, and flannel, kube-proxy and CoreDNS run on all of them.

    To be run on the control plane. Nodes that failed in this run, or are not part of it
    (``--limit``), are not waited for.

    + names: of the nodes
    + seconds: how long to wait; then each node that is not Ready fails with the reason
    """
    rollouts = [FLANNEL, *SYSTEM]
    running = {each.name for each in state.activated_hosts - state.failed_hosts}
    present = [name for name in names if name in running]
    observed = read(Objects, names=["nodes", *rollouts])
    if observed.answers and not pending(observed.objects, present, rollouts):
        host.noop(f"Ready: {', '.join(present)}")
        return
    plan_change(f"wait until {', '.join(present)} are Ready")
    yield FunctionCommand(wait_until_ready, (present, rollouts, seconds), {})


@operation()
def labels_and_taints(
    labels: Mapping[str, Mapping[str, str | None]],
    control_planes: Sequence[str] = (),
    schedulable: bool = False,
) -> Commands:
    """
    Set labels of nodes, and whether ordinary pods may run on control planes.

    A node that a removal has cordoned, and that is in the settings all the same, takes pods again.
    To be run on the control plane, after ``ready``.

    + labels: for each node ``{label: value}``; None as value removes the label. Other labels are
      kept
    + control_planes: the nodes that have the taint node-role.kubernetes.io/control-plane:NoSchedule
    + schedulable: True removes that taint, for a cluster too small to spare a node

    A node that the cluster does not know yet is skipped. ``HostFailure``: the API server does not
    answer.
    """
    observed = read(Objects, names=["nodes"])
    if not observed.answers and state.is_executing:
        raise HostFailure(messages.API_NOT_ANSWERING(reason=observed.why))
    known = nodes(observed.objects)
    commands = []
    for name, desired in labels.items():
        # In prepare, a node that the cluster does not know is about to join.
        if name in known or not state.is_executing:
            observed_labels = known[name].labels if name in known else {}
            words = _label_words(desired, observed_labels)
            for label, value in desired.items():
                content = _ABSENT if value is None else value
                before = observed_labels.get(label)
                declare_recorded(f"label {name} {label}", content, before=before)
            if words:
                changed = [word.removesuffix("-").partition("=")[0] for word in words]
                resources = [f"label {name} {label}" for label in changed]
                plan_change(f"label {name}: {' '.join(words)}", *resources)
                commands.append(_kubectl("label", "node", name, *words, "--overwrite"))
    for name in control_planes:
        tainted = _TAINT in known[name].taints if name in known else True
        declare(f"taint {name}")
        if tainted == schedulable and (name in known or not state.is_executing):
            taint = f"{_TAINT[0]}:{_TAINT[1]}"
            change = f"remove {taint} from" if schedulable else f"set {taint} on"
            plan_change(f"taints: {change} {name}", f"taint {name}")
            words = [f"{taint}-"] if schedulable else [taint, "--overwrite"]
            commands.append(_kubectl("taint", "node", name, *words))
    for name in labels:
        resource = find(observed.objects, f"/node/{name}") or {}
        if drain.is_own(cordon(resource)[1], drain.REMOVAL):
            plan_change(f"uncordon {name}: its removal was interrupted")
            commands.append(_kubectl("patch", "node", name, "--type=merge", "-p", _UNCORDON))
    yield from commands
    if not commands:
        host.noop("labels and taints are up to date")


@operation()
def labels_kept(labels: Mapping[str, Mapping[str, str | None]]) -> Commands:
    """
    Keep the labels that another control plane sets, though this one may have recorded them.

    To be run on the control planes on which ``labels_and_taints`` is not.

    + labels: as there
    """
    hide()
    for name, desired in labels.items():
        declare(*(f"label {name} {label}" for label in desired))
    host.noop("another control plane sets the labels")
    yield from ()


def remove_label(resource: str, entry: Entry) -> Commands:
    """
    Remove a recorded label, or restore its value before bramble; for ``removals``.

    + resource: "label NODE LABEL"
    + entry: what the record says of it: its value
    + raises ``ChangedSince``
    """
    _, name, label = resource.split(" ")
    observed = read(Objects, names=["nodes"])
    if not observed.answers and state.is_executing:
        raise HostFailure(messages.API_NOT_ANSWERING(reason=observed.why))
    known = nodes(observed.objects)
    if name not in known or known[name].labels.get(label) == entry.before:
        return
    word = f"{label}-" if entry.before is None else f"{label}={entry.before}"
    if not entry.holds(known[name].labels.get(label, _ABSENT)):
        raise ChangedSince(f"kubectl label node {name} {word} --overwrite")
    plan_change(f"label {name}: {word}", resource)
    yield _kubectl("label", "node", name, word, "--overwrite")


def _label_words(desired: Mapping[str, str | None], observed: Mapping[str, str]) -> list[str]:
    words = []
    for label, value in desired.items():
        if value is None:
            words += [f"{label}-"] if label in observed else []
        elif observed.get(label) != value:
            words.append(f"{label}={value}")
    return words


def _kubectl(*words: str) -> StringCommand:
    quoted = [QuoteString(word) for word in words]
    return StringCommand("kubectl", QuoteString(f"--kubeconfig={ADMIN_CONF}"), *quoted)
