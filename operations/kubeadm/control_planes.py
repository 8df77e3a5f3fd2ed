"""
Join further control planes to a cluster, one after another.

A join that was cut off may leave a member of etcd behind, without its data. kubeadm would take it
for its own and give it a vote, and etcd would never start again. So what has the node's address is
removed before each join, then what such a join has left on the node: a member that has a vote and
no data any more may cost the others their quorum. So is what such a join of another node has left:
etcd takes one new member at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pyinfra import host, inventory, state
from pyinfra.api import FactProcessError, FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.kubeadm import CONFIG, ControlPlaneMember, MemberState
from facts.kubectl import ADMIN_CONF, DELETE_NODE
from formats import etcd
from formats.etcd import Member
from formats.kubeadm import config
from formats.node import CONTROL_PLANE_LABEL, Node
from messages import kubernetes as messages
from operations import files
from operations.base import (
    Commands,
    HostFailure,
    operation,
    plan_change,
    read,
    understood,
)
from operations.kubeadm import check_cluster, existing, members
from operations.kubeadm.run import follow_join, listed_images, pull_images, run_join
from operations.teardown import follow_reset, start_reset
from remote.failures import RemoteFailure

Step = Literal["finished", "label", "undo", "join"]

# As kubeadm does it last. A kubelet that has its certificate registers its node by itself.
_LABEL = f"""for i in 1 2 3 4 5 6 7 8 9 10; do
said=$(kubectl --kubeconfig={ADMIN_CONF} --request-timeout=20s label node "$1" --overwrite \
{CONTROL_PLANE_LABEL}= node.kubernetes.io/exclude-from-external-load-balancers= 2>&1 </dev/null) &&
exit; sleep 5; done; printf '%s\\n' "$said" | tail -n1 >&2; exit 1"""

# Without one: a cluster that was made by hand.
_READ_CONFIG = f"cat {CONFIG} 2>/dev/null || :"


@operation()
def join(
    node: str,
    address: str,
    endpoint: str,
    control_planes: Mapping[str, str],
    image_repository: str = config.IMAGE_REPOSITORY,
    timeouts: Mapping[str, str] | None = None,
    ignore_preflight_errors: Sequence[str] = (),
    replaces: bool = False,
) -> Commands:
    """
    Join this node to a cluster as a further control plane.

    + node: the node's name in the cluster
    + address: its address in the cluster's network
    + endpoint: the name of the API server, as given to ``kubeadm.init``
    + control_planes: addresses of the others by name; the first that answers is asked
    + image_repository: where the images come from
    + timeouts: kubeadm's timeouts, over ``config.CONTROL_PLANE_JOIN_TIMEOUTS``
    + ignore_preflight_errors: names of preflight checks that only warn
    + replaces: whether it takes the place of a machine that has its name and another address

    A control plane that has joined is not changed. What a join that was cut off has left is undone.
    ``HostFailure``: the node belongs to another cluster; etcd does not answer, or would lose its
    quorum without a member that has to be removed; another node may be joining.
    """
    observed = read(ControlPlaneMember)
    if observed.state == "running":
        plan_change("follow the kubeadm join that is running there")
        yield FunctionCommand(follow_join, (), {})
        return
    if observed.state == "joined":
        raise HostFailure(messages.IS_WORKER())
    known = existing.ask(control_planes)
    first = known.name or next(iter(control_planes))
    if observed.ca and known.name:
        check_cluster(observed, first, known.authority)
    step = next_step(observed, known.members, address, known.nodes.get(node))
    if step == "finished" or (observed.state == "control plane" and not known.name):
        host.noop(f"{node} is a control plane of the cluster")
        return
    if state.is_executing and not known.name:
        reason = known.reasons() or f"{first} has no cluster"
        raise HostFailure(messages.ETCD_NOT_ASKED(reason=reason))
    if step == "label":
        plan_change(f"label {node} as a control plane")
        yield FunctionCommand(_label, (known.name, node), {})
        return
    for member in etcd.at(known.members, address):
        members.check_removable(known.members, member)
        plan_change(f"remove {members.described(member, address)}")
    abandoned = _abandoned(known.members, address, control_planes)
    for at, member in abandoned:
        plan_change(f"remove {members.described(member, at)}: its node's join was cut off")
    # What is registered at this node's own address is what was here before: another SD card.
    former = known.nodes.get(node)
    is_former = former is not None and (step == "undo" or former.address == address)
    if is_former:
        plan_change(f"delete the node {node}, as it was registered before")
    if step == "undo":
        plan_change(f"undo the kubeadm join that was interrupted on {node}")
    plan_change(f"join {node} ({address}) to the cluster of {first} as a control plane")
    registration = config.Registration(first, control_planes[first])
    version = observed.version.partition("+")[0]
    joining = {
        "control_plane": first,
        "node": node,
        "address": address,
        "ignore_preflight_errors": list(ignore_preflight_errors),
        "endpoint": endpoint,
        "timeouts": {**config.CONTROL_PLANE_JOIN_TIMEOUTS, **(timeouts or {})},
        "upload": (registration, version),
        "replaces": replaces,
    }
    # Before its data is wiped: where kubeadm does not know the node, its reset leaves the member.
    yield FunctionCommand(_leave_etcd, (first, address), {})
    if step == "undo":
        yield FunctionCommand(_undo, (), {})
    if abandoned:
        ids = [member.id for _, member in abandoned]
        yield FunctionCommand(_remove_abandoned, (first, ids), {})
    if is_former:
        # After the reset: a kubelet that runs registers it again.
        yield FunctionCommand(_delete_node, (first, node), {})
    yield FunctionCommand(pull_images, (listed_images(version, image_repository),), {})
    own = config.Registration(node, address, tuple(ignore_preflight_errors))
    yield FunctionCommand(_copy_configuration, (first, own), {})
    yield FunctionCommand(run_join, (), joining)


def next_step(
    observed: MemberState, listed: Sequence[Member], address: str, registered: Node | None
) -> Step:
    """
    Decide what is to be done on a node that is to be a control plane.

    + observed: what is on it
    + listed: the members of the cluster's etcd
    + address: of the node
    + registered: its object in the cluster; None: there is none
    """
    if observed.state == "absent":
        return "join"
    if observed.state != "control plane" or not etcd.has_started_voter(listed, address):
        return "undo"
    is_labelled = registered is not None and CONTROL_PLANE_LABEL in registered.labels
    return "finished" if is_labelled else "label"


def _abandoned(
    listed: Sequence[Member], address: str, control_planes: Mapping[str, str]
) -> list[tuple[str, Member]]:
    """
    Return the members that cut off joins of other nodes have left, each with its address.

    A node whose join runs keeps its own: kubeadm waits until it has a vote.

    + listed: the members of the cluster's etcd
    + address: of the node that joins now
    + control_planes: addresses of the others by name
    + raises ``HostFailure``: a member takes part whose node can't be asked
    """
    found = []
    for member in etcd.learners(listed):
        if address in member.peers:
            continue
        names = [name for name, at in control_planes.items() if at in member.peers]
        is_joining = _is_joining(names[0]) if names else None
        if is_joining is None and member.is_up:
            name = names[0] if names else member.name
            raise HostFailure(messages.LEARNER_IN_THE_WAY(node=name))
        if not is_joining:
            found.append((", ".join(member.peers), member))
    return found


def _is_joining(node: str) -> bool | None:
    """Whether a join runs on another node now; None: it can't be asked."""
    other = inventory.get_host(node)
    if other not in state.activated_hosts:
        return None
    try:
        # Not as a fact of pyinfra's, which shows lines of its own where the node is off.
        return bool(remote.of(other).gather(ControlPlaneMember()).state == "running")
    except (RemoteFailure, FactProcessError):
        return None


def _remove_abandoned(state: State, host: Host, control_plane: str, ids: Sequence[str]) -> bool:
    members.remove_learners(state.inventory.get_host(control_plane), host, ids)
    return True


def _undo(state: State, host: Host) -> bool:
    host.log("an earlier join was cut off: what it has left is removed, then the node joins anew")
    start_reset(host)
    return follow_reset(host)


def _leave_etcd(state: State, host: Host, control_plane: str, address: str) -> bool:
    """Remove what has this node's address from etcd."""
    members.remove(state.inventory.get_host(control_plane), host, address)
    return True


def _delete_node(state: State, host: Host, control_plane: str, node: str) -> bool:
    remote.of(state.inventory.get_host(control_plane)).run(DELETE_NODE, node)
    return True


def _copy_configuration(
    state: State, host: Host, control_plane: str, registration: config.Registration
) -> bool:
    """Write the file that ``kubeadm init`` would be given here: a restore, for one, needs it."""
    text = "\n".join(remote.of(state.inventory.get_host(control_plane)).run(_READ_CONFIG))
    if text.strip():
        with understood(CONFIG):
            own = config.for_node(text, registration)
        remote.of(host).execute(files.write_command(CONFIG, own, "600", "root", "root"))
    return True


def _label(state: State, host: Host, control_plane: str, node: str) -> bool:
    try:
        remote.of(state.inventory.get_host(control_plane)).run(_LABEL, node, seconds=300)
    except RemoteFailure as error:
        raise HostFailure(messages.NOT_LABELLED(node=node, reason=error.args[0])) from error
    return True
