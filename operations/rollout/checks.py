"""Check the cluster before a node is worked on, and show what will be done."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pyinfra import inventory, state
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host

from facts.etcd import EtcdState
from formats import node as node_format
from formats import pods as pod_format
from formats.etcd import majority_away
from messages import Said
from messages import kubernetes as kubernetes_messages
from messages import rollout as messages
from operations.base import HostFailure, plan
from operations.kubeadm.acting import API_S, objects
from operations.nodes import drain
from operations.nodes.control_planes import indispensable
from operations.rollout.work import Rollout


def cluster_nodes(control_plane: Host, seconds: int = API_S) -> dict[str, Mapping[str, Any]]:
    """
    Return the nodes of the cluster by name.

    + seconds: for an API server that is starting

    ``HostFailure``: it does not answer.
    """
    observed = objects(control_plane, ["nodes"], seconds)
    return {each["metadata"]["name"]: each for each in observed.objects if each["kind"] == "Node"}


def first_that_answers(
    here: Rollout, running: Collection[str]
) -> tuple[Host, dict[str, Mapping[str, Any]]]:
    """
    Return a control plane, and the nodes of the cluster by name.

    + running: the nodes in this run, which are asked first

    ``HostFailure``: none answers.
    """
    names = sorted(here.planes.addresses, key=lambda name: name not in running)
    away = {each.name for each in state.failed_hosts - state.activated_hosts}
    said = majority_away([*here.planes.addresses], away)
    failures = []
    for name in names:
        asked = inventory.get_host(name)
        try:
            return asked, cluster_nodes(asked, 0 if said else API_S)
        except HostFailure as failure:
            failures.append(failure)
        except ConnectError as error:  # one that the run leaves out
            said_by = kubernetes_messages.API_NOT_ANSWERING(reason=str(error))
            failures.append(HostFailure(said_by))
    raise HostFailure(said) if said else failures[0]


def obstacles(here: Rollout, unwell: str, etcd: EtcdState | None = None) -> list[Said]:
    """
    Return why no node may be worked on now.

    + unwell: what is not well of the control plane
    + etcd: what it says of the members; None: no control plane is worked on that has others beside
    """
    found = []
    if gone := [each.name for each in state.failed_hosts if each.name in here.nodes]:
        found.append(messages.OTHER_FAILED(nodes=", ".join(sorted(gone))))
    if others := away(here.objects, here.order[0]):
        found.append(messages.NODE_AWAY(nodes=others))
    if unwell:
        found.append(messages.CONTROL_PLANE_UNWELL(reason=unwell))
    if etcd is not None and etcd.state != "listed":
        found.append(kubernetes_messages.ETCD_NOT_ASKED(reason=etcd.why))
    elif etcd is not None:
        first = next(filter(here.planes.member, here.order))
        said = indispensable(etcd.members, first, here.planes.member(first))
        found += [said] if said else []
    return found + drain.obstacles(pod_format.leaving(here.objects, name) for name in here.work)


def away(objects: Iterable[Mapping[str, Any]], node: str) -> str:
    """Return which nodes besides this one are not Ready, and why; "" when all are."""
    known = node_format.nodes(objects).values()
    troubled = [each for each in known if each.trouble and each.name != node]
    return "; ".join(f"{each.name} ({each.trouble})" for each in troubled)


def show_plan(here: Rollout) -> None:
    """Show which nodes are worked on and why, which pods move, and what they lose."""
    plan("One node at a time, in this order:")
    for place, name in enumerate(here.order, 1):
        why = here.work.get(name) or ["an interrupted run has left it cordoned"]
        leaving = pod_format.leaving(here.objects, name if name in here.work else "")
        moving = f"; evict {', '.join(leaving.pods)}" if leaving.pods else ""
        plan(f"{place}. {name}: {'; '.join(why)}{moving}")
        drain.plan_losses(here.objects, name, leaving)
    behind = [name for name in here.nodes if name != here.gateway]
    if here.gateway in here.work and behind:
        plan(messages.GATEWAY_AWAY(gateway=here.gateway, nodes=", ".join(behind)))
