"""
The nodes as the cluster sees them: Ready, labelled, open to pods or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyinfra import host, state
from pyinfra.api import FunctionCommand, QuoteString, StringCommand

from facts.kubectl import ADMIN_CONF, Objects
from formats.node import CONTROL_PLANE_TAINT, nodes
from operations.base import Commands, HostFailure, declare, operation, plan_change, read
from operations.rollouts import SYSTEM, await_all, troubles

_TAINT = (CONTROL_PLANE_TAINT["key"], CONTROL_PLANE_TAINT["effect"])
FLANNEL = "kube-flannel/daemonset/kube-flannel-ds"


@operation()
def ready(names: Sequence[str], rollouts: Sequence[str] = (), seconds: int = 300) -> Commands:
    """
    These nodes are Ready, and what every node needs runs on them.

    To be run on the control plane. Nodes that failed in this run, or were left out of it
    (``--limit``), are not waited for.

    + names: of the nodes
    + rollouts: ``NAMESPACE/KIND/NAME`` of DaemonSets and Deployments; none: flannel's, kube-proxy's
      and CoreDNS's
    + seconds: to wait; then it fails with what each node says itself

    **Example:**

    .. code:: python

        nodes.ready(name="All nodes are Ready", names=["node1", "node2", "node3"])
    """

    wanted = list(rollouts) or [FLANNEL, *SYSTEM]
    here = {each.name for each in state.activated_hosts - state.failed_hosts}
    present = [name for name in names if name in here]
    now = read(Objects, names=["nodes", *wanted])
    if now.answers and not troubles(now.objects, present, wanted):
        host.noop(f"Ready: {', '.join(present)}")
        return
    plan_change(f"wait until {', '.join(present)} are Ready")
    yield FunctionCommand(await_all, (present, wanted, seconds), {})


@operation()
def marks(
    labels: Mapping[str, Mapping[str, str | None]],
    control_planes: Sequence[str] = (),
    schedulable: bool = False,
) -> Commands:
    """
    Labels of nodes, and whether pods may run on the control plane.

    To be run on the control plane, after ``ready``.

    + labels: for each node ``{label: value}``; a value of None: without that label. Other labels
      are left alone
    + control_planes: the nodes whose taint (node-role.kubernetes.io/control-plane:NoSchedule) is
      ours to set
    + schedulable: True: without it, for a cluster too small to spare a node

    A node that the cluster does not know yet is passed over.

    **Example:**

    .. code:: python

        nodes.marks(
            name="Labels and taints",
            labels={"node2": {"node-role.kubernetes.io/worker": ""}},
            control_planes=["node1"],
        )
    """

    now = read(Objects, names=["nodes"])
    if not now.answers and state.is_executing:
        raise HostFailure(f"the API server does not answer: {now.why}")
    known = nodes(now.objects)
    commands = []
    for name, wanted in labels.items():
        # While pyinfra prepares, a node that is not known is one that is still to join.
        if name in known or not state.is_executing:
            words = _label_words(wanted, known[name].labels if name in known else {})
            declare(*(f"label {name} {label}" for label in wanted))
            if words:
                labels_now = [word.removesuffix("-").partition("=")[0] for word in words]
                resources = [f"label {name} {label}" for label in labels_now]
                plan_change(f"label {name}: {' '.join(words)}", *resources)
                commands.append(_kubectl("label", "node", name, *words, "--overwrite"))
    for name in control_planes:
        tainted = _TAINT in known[name].taints if name in known else True
        declare(f"taint {name}")
        if tainted == schedulable and (name in known or not state.is_executing):
            verb = "let pods run on" if schedulable else "keep pods off"
            plan_change(f"{verb} {name}", f"taint {name}")
            mark = f"{_TAINT[0]}:{_TAINT[1]}"
            words = [f"{mark}-"] if schedulable else [mark, "--overwrite"]
            commands.append(_kubectl("taint", "node", name, *words))
    yield from commands
    if not commands:
        host.noop("labels and taints are as they shall be")


def _label_words(wanted: Mapping[str, str | None], there: Mapping[str, str]) -> list[str]:
    words = []
    for label, value in wanted.items():
        if value is None:
            words += [f"{label}-"] if label in there else []
        elif there.get(label) != value:
            words.append(f"{label}={value}")
    return words


def _kubectl(*words: str) -> StringCommand:
    quoted = [QuoteString(word) for word in words]
    return StringCommand("kubectl", QuoteString(f"--kubeconfig={ADMIN_CONF}"), *quoted)
