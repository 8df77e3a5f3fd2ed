"""
DaemonSets, Deployments, their pods, and where these run.

Pods exist in the API alone; whether one is Running its node's stand-in kubelet says. Simplified: a
new template replaces all pods at once, and no ReplicaSet stands between a Deployment and its pods.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import secrets
from collections import Counter

from .common import Obj, condition, is_ready, stamp
from .disruption import NODES, PODS, end, is_ending, owners
from .resources import BY_KEY
from .store import Conflict, Store

DAEMONSETS, DEPLOYMENTS = (BY_KEY[f"{one}.apps"] for one in ("daemonsets", "deployments"))
SERVICES, ENDPOINTS = BY_KEY["services"], BY_KEY["endpoints"]
OWNERS = {one.kind: one for one in (DAEMONSETS, DEPLOYMENTS, NODES)}
LETTERS = "bcdfghjklmnpqrstvwxz2456789"
# Taints that every pod of a DaemonSet tolerates.
PRESSURES = ("disk-pressure", "memory-pressure", "pid-pressure")
TOLERATED = [
    {"key": f"node.kubernetes.io/{name}", "operator": "Exists"}
    for name in ("not-ready", "unreachable", "unschedulable", "network-unavailable", *PRESSURES)
]


def _digest(template: Obj) -> str:
    data = json.dumps(template, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()[:10]


def _owned(store: Store, owner: Obj) -> list[Obj]:
    """Return the pods whose controller `owner` is."""
    uid, pods = owner["metadata"]["uid"], store.listed(PODS, owner["metadata"]["namespace"])[0]
    return [one for one in pods if uid in owners(one)]


def _make_pod(store: Store, owner: Obj, labels: Obj, spec: Obj) -> None:
    template = owner["spec"]["template"].get("metadata") or {}
    reference = {name: owner[name] for name in ("apiVersion", "kind")} | {"controller": True}
    reference |= {name: owner["metadata"][name] for name in ("name", "uid")}
    words = [owner["metadata"]["name"], labels.get("pod-template-hash", "")]
    words.append("".join(secrets.choice(LETTERS) for _ in range(5)))
    meta = {"name": "-".join(filter(None, words)), "namespace": owner["metadata"]["namespace"]}
    meta |= {"labels": (template.get("labels") or {}) | labels, "ownerReferences": [reference]}
    meta |= {"annotations": template.get("annotations") or {}}
    about = {"apiVersion": "v1", "kind": "Pod", "metadata": meta}
    store.create(PODS, about | {"spec": spec, "status": {"phase": "Pending"}})


def _set_status(store: Store, owner: Obj, status: Obj) -> None:
    own = {"observedGeneration": owner["metadata"].get("generation", 1)} | status
    if owner.get("status") != own:
        store.update(OWNERS[owner["kind"]], owner | {"status": own})


def _daemonset(store: Store, one: Obj) -> None:
    """Have one pod on each node that fits; count them."""
    spec = copy.deepcopy(one["spec"]["template"]["spec"])
    spec["tolerations"] = (spec.get("tolerations") or []) + TOLERATED
    nodes = store.peek(NODES)
    wanted = {node["metadata"]["name"] for node in nodes if _fits(spec, node)}
    current, have = _digest(one["spec"]["template"]), set[str]()
    for pod in _owned(store, one):
        where = pod["spec"].get("nodeName", "")
        is_old = pod["metadata"]["labels"].get("controller-revision-hash") != current
        if where not in wanted - have or is_old:
            end(store, pod)
        if where in wanted:
            have.add(where)  # a new one comes when the old one has ended
    generation = str(one["metadata"].get("generation", 1))
    labels = {"controller-revision-hash": current, "pod-template-generation": generation}
    for name in sorted(wanted - have):
        _make_pod(store, one, labels, spec | {"nodeName": name})
    pods = [pod for pod in _owned(store, one) if not is_ending(pod)]
    names = ("currentNumberScheduled", "updatedNumberScheduled")
    counts = dict.fromkeys(names, len(pods)) | {"desiredNumberScheduled": len(wanted)}
    counts |= dict.fromkeys(("numberReady", "numberAvailable"), sum(map(is_ready, pods)))
    _set_status(store, one, counts)


def _deployment(store: Store, one: Obj) -> None:
    """Have as many pods of the current template as there should be; count them."""
    template, replicas = one["spec"]["template"], one["spec"].get("replicas", 1)
    labels, pods = {"pod-template-hash": _digest(template)}, list[Obj]()
    for pod in _owned(store, one):
        is_current = labels.items() <= pod["metadata"]["labels"].items() and not is_ending(pod)
        if is_current and len(pods) < replicas:
            pods.append(pod)
        else:
            end(store, pod)
    for _ in range(replicas - len(pods)):
        _make_pod(store, one, labels, template["spec"])
    ready = sum(map(is_ready, pods))
    counts = {"replicas": replicas, "updatedReplicas": replicas, "readyReplicas": ready}
    counts |= {"availableReplicas": ready, "unavailableReplicas": replicas - ready}
    _set_status(store, one, counts)


def _fits(spec: Obj, node: Obj) -> bool:
    """Whether a pod may be put on a node, by nodeSelector and taints."""
    labels, chosen = node["metadata"].get("labels", {}), spec.get("nodeSelector") or {}
    taints = [
        taint
        for taint in node.get("spec", {}).get("taints") or []
        if taint["effect"] != "PreferNoSchedule"
        and not any(_tolerates(one, taint) for one in spec.get("tolerations") or [])
    ]
    return chosen.items() <= labels.items() and not taints


def _tolerates(toleration: Obj, taint: Obj) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    own, other = ((one.get("key"), one.get("value", "")) for one in (toleration, taint))
    return bool(own == other)


def _schedule(store: Store) -> None:
    """Give each pod that has none a node: of those that fit the one with the fewest pods."""
    pods = store.listed(PODS)[0]
    load = Counter(pod["spec"].get("nodeName") for pod in pods)
    ready = [one for one in store.peek(NODES) if is_ready(one)]
    for pod in pods:
        fitting = [one["metadata"]["name"] for one in ready if _fits(pod["spec"], one)]
        if fitting and not pod["spec"].get("nodeName"):
            pod["spec"]["nodeName"] = min(fitting, key=lambda name: load[name])
            load[pod["spec"]["nodeName"]] += 1
            store.update(PODS, pod)


def _endpoints(store: Store) -> None:
    """Have the Endpoints of each Service with a selector name its pods that are ready."""
    for service in store.peek(SERVICES):
        meta, selector = service["metadata"], service["spec"].get("selector")
        if not selector:
            continue
        addresses = [
            {"ip": pod["status"].get("podIP", ""), "nodeName": pod["spec"]["nodeName"]}
            for pod in store.peek(PODS, meta["namespace"])
            if selector.items() <= (pod["metadata"].get("labels") or {}).items()
            and is_ready(pod)
            and not is_ending(pod)
        ]
        own = {name: meta[name] for name in ("name", "namespace")}
        about = {"apiVersion": "v1", "kind": "Endpoints", "metadata": own}
        store.put(ENDPOINTS, about | {"subsets": [{"addresses": addresses}] if addresses else []})


def _collect(store: Store) -> None:
    """Remove pods that have lost their owner or node; those of a silent node are not ready."""
    known = {node["metadata"]["name"]: node for node in store.peek(NODES)}
    for one in store.listed(PODS)[0]:
        meta, where = one["metadata"], one["spec"].get("nodeName", "")
        is_orphan = bool(where) and where not in known
        for reference in meta.get("ownerReferences", []):
            kind = OWNERS.get(reference["kind"], NODES)
            namespace = meta["namespace"] if kind.namespaced else ""
            owner = store.get(kind, namespace, reference["name"])
            is_orphan |= owner is None or owner["metadata"]["uid"] != reference["uid"]
        if is_orphan:
            end(store, one)
        elif is_ready(one) and condition(known[where], "Ready").get("status") == "Unknown":
            for each in one["status"]["conditions"]:
                if each["type"] in ("Ready", "ContainersReady"):
                    each |= {"status": "False", "lastTransitionTime": stamp()}
            store.update(PODS, one)


def run(store: Store) -> None:
    """Bring all workloads one step further."""
    _collect(store)
    for resource, step in ((DAEMONSETS, _daemonset), (DEPLOYMENTS, _deployment)):
        for one in store.listed(resource)[0]:
            with contextlib.suppress(Conflict):
                step(store, one)
    _schedule(store)
    _endpoints(store)
