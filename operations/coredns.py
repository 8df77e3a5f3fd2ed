"""Spread the pods of CoreDNS over the control planes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand

from facts.kubectl import ADMIN_CONF, Objects
from formats.node import CONTROL_PLANE_LABEL, nodes
from operations.base import Commands, operation, plan_change, read
from operations.nodes.rollouts import wait_until_ready

_PODS = "pods -n kube-system -l k8s-app=kube-dns"
_DEPLOYMENT = "kube-system/deployment/coredns"


@operation()
def spread(seconds: int = 300) -> Commands:
    """
    Restart CoreDNS once, when all its pods are where the first control plane was alone.

    kubeadm starts both there, and Kubernetes moves no pod that runs: without that node no pod would
    resolve names for minutes. Pods that were made after the other control planes stay where they
    are.

    To be run on a control plane, when the nodes are Ready.

    + seconds: how long to wait for the new pods
    """
    observed = read(Objects, names=["nodes", _PODS])
    if not (where := gathered_on(observed.objects)):
        host.noop("the pods of CoreDNS stay where they are")
        return
    plan_change(f"restart CoreDNS, all of whose pods are on {where}, for other nodes to run it too")
    command = f"kubectl --kubeconfig={ADMIN_CONF} -n kube-system rollout restart deployment coredns"
    yield StringCommand(command)
    yield FunctionCommand(wait_until_ready, ([], [_DEPLOYMENT], seconds), {})


def gathered_on(objects: Iterable[Mapping[str, Any]]) -> str:
    """
    Return the only node on which CoreDNS runs; "" if it may stay there.

    It stays unless it has several pods, and another control plane is Ready that is newer than them.
    """
    objects = list(objects)
    pods = [
        each
        for each in objects
        if each["kind"] == "Pod"
        and (each["metadata"].get("labels") or {}).get("k8s-app") == "kube-dns"
        and "deletionTimestamp" not in each["metadata"]
    ]
    places = {each["spec"].get("nodeName", "") for each in pods}
    if len(pods) < 2 or len(places) > 1:
        return ""
    made = max(str(each["metadata"]["creationTimestamp"]) for each in pods)
    joined = [
        each
        for each in objects
        if each["kind"] == "Node"
        and CONTROL_PLANE_LABEL in (each["metadata"].get("labels") or {})
        and not each.get("spec", {}).get("unschedulable")
        and str(each["metadata"]["creationTimestamp"]) > made
    ]
    is_ready = any(each.trouble is None for each in nodes(joined).values())
    return places.pop() if is_ready else ""
