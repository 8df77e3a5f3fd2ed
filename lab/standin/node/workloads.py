"""
DaemonSets, Deployments and their pods: which there should be, where, and what their owners report.

Pods only exist in the API; whether one is Running its node's stand-in kubelet says. Simplified: a
new template replaces all pods at once, and a Deployment keeps only its current ReplicaSet.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import secrets as random

from .columns import condition
from .common import Obj, stamp
from .resources import Resource
from .scheduling import (
    DAEMON,
    DAEMONSETS,
    DEPLOYMENTS,
    NODES,
    PODS,
    REPLICASETS,
    collect,
    ready,
    schedule,
    selected,
    tolerates,
)
from .store import Conflict, Store

LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def suffix(length: int = 5) -> str:
    """The tail of a generated name."""
    return "".join(random.choice(LETTERS) for _ in range(length))


def digest(template: Obj) -> str:
    """A short name for a pod template."""
    data = json.dumps(template, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()[:10]


def owned(store: Store, owner: Obj, resource: Resource = PODS) -> list[Obj]:
    """The objects whose controller `owner` is."""
    uid = owner["metadata"]["uid"]
    listed = store.listed(resource, owner["metadata"]["namespace"])[0]
    return [
        one
        for one in listed
        if any(ref["uid"] == uid for ref in one["metadata"].get("ownerReferences", []))
    ]


def _reference(owner: Obj, kind: str) -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _pod(store: Store, owner: Obj, kind: str, name: str, labels: Obj, spec: Obj) -> None:
    template = owner["spec"]["template"].get("metadata") or {}
    meta = {
        "name": name,
        "namespace": owner["metadata"]["namespace"],
        "labels": (template.get("labels") or {}) | labels,
        "ownerReferences": [_reference(owner, kind)],
    }
    if template.get("annotations"):
        meta["annotations"] = template["annotations"]
    store.create(
        PODS,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": meta,
            "spec": spec,
            "status": {"phase": "Pending"},
        },
    )


def _status(store: Store, resource: Resource, owner: Obj, status: Obj) -> None:
    status = {"observedGeneration": owner["metadata"].get("generation", 1)} | status
    if owner.get("status") != status:
        owner["status"] = status
        store.update(resource, owner)


def daemonset(store: Store, one: Obj, nodes: list[Obj]) -> None:
    """One pod on each fitting node; the counts."""
    template = copy.deepcopy(one["spec"]["template"])
    spec = template["spec"]
    spec["tolerations"] = (spec.get("tolerations") or []) + [
        {"key": f"node.kubernetes.io/{name}", "operator": "Exists"} for name in DAEMON
    ]
    wanted = {
        node["metadata"]["name"] for node in nodes if selected(spec, node) and tolerates(spec, node)
    }
    current = digest(one["spec"]["template"])
    have: dict[str, Obj] = {}
    for pod in owned(store, one):
        where = pod["spec"].get("nodeName", "")
        old = pod["metadata"]["labels"].get("controller-revision-hash") != current
        if where not in wanted or where in have or old:
            store.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])
        else:
            have[where] = pod
    labels = {
        "controller-revision-hash": current,
        "pod-template-generation": str(one["metadata"].get("generation", 1)),
    }
    for name in sorted(wanted - have.keys()):
        _pod(
            store,
            one,
            "DaemonSet",
            f"{one['metadata']['name']}-{suffix()}",
            labels,
            spec | {"nodeName": name},
        )
    pods = owned(store, one)
    running = sum(ready(pod) for pod in pods)
    status = {
        "currentNumberScheduled": len(pods),
        "desiredNumberScheduled": len(wanted),
        "numberMisscheduled": 0,
        "numberReady": running,
        "updatedNumberScheduled": len(pods),
    }
    if running:
        status["numberAvailable"] = running
    if len(wanted) - running:
        status["numberUnavailable"] = len(wanted) - running
    _status(store, DAEMONSETS, one, status)


def deployment(store: Store, one: Obj) -> None:
    """The ReplicaSet of the current template, its pods, the counts and conditions."""
    template = one["spec"]["template"]
    current = digest(template)
    namespace, name = one["metadata"]["namespace"], f"{one['metadata']['name']}-{current}"
    for old in owned(store, one, REPLICASETS):
        if old["metadata"]["name"] != name:
            store.delete(REPLICASETS, namespace, old["metadata"]["name"])
    labels = {"pod-template-hash": current}
    replicas = one["spec"].get("replicas", 1)
    found = store.get(REPLICASETS, namespace, name)
    if found is None:
        chosen = copy.deepcopy(one["spec"]["selector"])
        chosen["matchLabels"] = (chosen.get("matchLabels") or {}) | labels
        meta = {
            "name": name,
            "namespace": namespace,
            "generation": 1,
            "labels": (template["metadata"].get("labels") or {}) | labels,
            "ownerReferences": [_reference(one, "Deployment")],
        }
        spec = {"replicas": replicas, "selector": chosen, "template": template}
        found = store.create(
            REPLICASETS,
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": meta,
                "spec": spec,
                "status": {"replicas": 0},
            },
        )
    if found["spec"]["replicas"] != replicas:
        found["spec"]["replicas"] = replicas
        found = store.update(REPLICASETS, found)
    running = replicaset(store, found, labels)
    full = running >= replicas
    status: Obj = {"replicas": replicas, "updatedReplicas": replicas}
    if running:
        status |= {"readyReplicas": running, "availableReplicas": running}
    if not full:
        status["unavailableReplicas"] = replicas - running
    progress = f'ReplicaSet "{name}" ' + (
        "has successfully progressed." if full else "is progressing."
    )
    status["conditions"] = [
        _condition(
            one,
            "Available",
            full,
            "MinimumReplicasAvailable" if full else "MinimumReplicasUnavailable",
            "Deployment has minimum availability."
            if full
            else "Deployment does not have minimum availability.",
        ),
        _condition(
            one,
            "Progressing",
            True,
            "NewReplicaSetAvailable" if full else "ReplicaSetUpdated",
            progress,
        ),
    ]
    _status(store, DEPLOYMENTS, one, status)


def _condition(one: Obj, kind: str, true: bool, reason: str, message: str) -> Obj:
    wanted = {
        "type": kind,
        "status": "True" if true else "False",
        "reason": reason,
        "message": message,
    }
    old = condition(one, kind)
    if old and all(old[name] == value for name, value in wanted.items()):
        return old
    return wanted | {"lastTransitionTime": stamp(), "lastUpdateTime": stamp()}


def replicaset(store: Store, one: Obj, labels: Obj) -> int:
    """Its pods, unscheduled at first; how many are ready."""
    pods = owned(store, one)
    replicas = one["spec"].get("replicas", 1)
    for pod in pods[replicas:]:
        store.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])
    for _ in range(replicas - len(pods)):
        _pod(
            store,
            one,
            "ReplicaSet",
            f"{one['metadata']['name']}-{suffix()}",
            labels,
            copy.deepcopy(one["spec"]["template"]["spec"]),
        )
    running = sum(ready(pod) for pod in pods[:replicas])
    status: Obj = {"replicas": replicas}
    if running:
        status |= {"readyReplicas": running, "availableReplicas": running}
    _status(store, REPLICASETS, one, status)
    return running


def run(store: Store) -> None:
    """One round."""
    nodes = store.listed(NODES)[0]
    collect(store, nodes)
    for one in store.listed(DAEMONSETS)[0]:
        with contextlib.suppress(Conflict):
            daemonset(store, one, nodes)
    for one in store.listed(DEPLOYMENTS)[0]:
        with contextlib.suppress(Conflict):
            deployment(store, one)
    schedule(store, nodes)
