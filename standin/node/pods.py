"""The pods of one node: which would run here, and what flannel and kube-proxy do to the node."""

from __future__ import annotations

import contextlib
import ipaddress
import shutil
import time
from dataclasses import dataclass, field
from typing import Any

import yaml

from . import rules
from .client import ApiError, Client
from .common import SYSTEM, Obj, new_condition, root, stamp
from .containerd import CriError, Runtime
from .flannel import Flannel, NotRunning
from .node import State

RESYNC = 5.0  # seconds between two looks at the rules
BACKOFF = 20.0  # seconds between two attempts to pull an image
LOGS = "/var/log/pods"
MIRROR = "kubernetes.io/config.mirror"
FLANNEL_MAP = "/api/v1/namespaces/kube-flannel/configmaps/kube-flannel-cfg"
EARLY = ("PodScheduled", "Initialized")  # what is true of a pod before it runs
CONDITIONS = (*EARLY, "PodReadyToStartContainers", "ContainersReady", "Ready")
Problem = tuple[str, str] | None  # reason and message why a pod is not running; None: it is


@dataclass
class Pods:
    """What the kubelet of a node knows about its pods."""

    name: str
    node_ip: str
    runtime: Runtime
    flannel: Flannel = field(default_factory=Flannel)
    is_flannel_up: bool = False
    annotations: Obj = field(default_factory=dict)
    proxied: tuple[str, ...] = ()  # the pod, and the API server that its rules lead to
    pulls: dict[str, tuple[float, str]] = field(default_factory=dict)
    checked: float = 0.0
    addresses: dict[str, str] = field(default_factory=dict)

    def sync(self, client: Client, node: Obj, state: State) -> bool:
        """Do one round over all pods of this node; return whether all of them run."""
        own = f"/api/v1/pods?fieldSelector=spec.nodeName%3D{self.name}"
        pods = client.request("GET", own)["items"]
        known = {one["metadata"]["uid"] for one in pods}
        self.addresses = {uid: one for uid, one in self.addresses.items() if uid in known}
        for folder in root(LOGS).glob("*_*_*-*-*-*-*"):
            if folder.name.rpartition("_")[2] not in known:
                shutil.rmtree(folder)
        is_due = state.runs_pods and time.monotonic() - self.checked > RESYNC
        is_flannel_up, runs_all = False, True
        for pod in pods:
            meta = pod["metadata"]
            if "deletionTimestamp" in meta:
                path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
                client.request("DELETE", path, {"gracePeriodSeconds": 0})
                runs_all = False
                continue
            problem = self._problem(client, pod, node, state, is_due)
            if problem is None and MIRROR not in meta.get("annotations", {}):
                folder = root(LOGS) / f"{meta['namespace']}_{meta['name']}_{meta['uid']}"
                folder.mkdir(parents=True, exist_ok=True)
            is_flannel = pod["metadata"].get("labels", {}).get("app") == "flannel"
            is_flannel_up |= is_flannel and problem is None
            self._report(client, pod, node, problem)
            runs_all &= problem is None
        self.is_flannel_up = is_flannel_up
        if is_due:
            self.checked = time.monotonic()
            rules.kubelet()
        return runs_all

    def _problem(self, client: Client, pod: Obj, node: Obj, state: State, is_due: bool) -> Problem:
        spec, labels = pod["spec"], pod["metadata"].get("labels", {})
        if not state.runs_pods:
            return "ContainerCreating", ""
        for container in spec.get("initContainers", []) + spec["containers"]:
            if failed := self._pull(container["image"], state.images):
                return failed
        if labels.get("app") == "flannel" and pod["metadata"]["namespace"] == "kube-flannel":
            is_kept = self.is_flannel_up and not is_due
            return None if is_kept else self._flannel(client, spec["containers"][0], node)
        if labels.get("k8s-app") == "kube-proxy":
            self._proxy(client, pod["metadata"]["uid"], is_due)
        elif not spec.get("hostNetwork") and state.no_network:
            return "ContainerCreating", state.no_network
        return None

    def _pull(self, image: str, present: dict[str, int]) -> Problem:
        if image in present:
            return None
        when, why = self.pulls.get(image, (0.0, ""))
        if not why or time.monotonic() - when > BACKOFF:
            try:
                self.runtime.pull(image)
                self.pulls.pop(image, None)
                return None
            except CriError as error:
                why = str(error)
                self.pulls[image] = (time.monotonic(), why)
        return "ImagePullBackOff", f'Back-off pulling image "{image}": {why}'

    def _flannel(self, client: Client, container: Obj, node: Obj) -> Problem:
        as_flannel = client.acting_as("system:serviceaccount:kube-flannel:flannel")
        others = as_flannel.request("GET", "/api/v1/nodes")["items"]
        arguments = container.get("args") or container.get("command") or []
        try:
            data = (client.get(FLANNEL_MAP) or {}).get("data", {})
            self.annotations = self.flannel.run(data, node, others, arguments)
        except NotRunning as reason:
            print(f"flannel: {reason}", flush=True)
            return "CrashLoopBackOff", str(reason)
        return None

    def _proxy(self, client: Client, uid: str, is_due: bool) -> None:
        """Do a full sync for a new pod, another API server or a missing canary; else nothing."""
        if self.proxied[:1] == (uid,) and not is_due:
            return
        as_proxy = client.acting_as(f"system:serviceaccount:{SYSTEM}:kube-proxy")
        own = "/api/v1/namespaces/default/{}/kubernetes"
        behind = as_proxy.get(own.format("endpoints"))["subsets"][0]
        endpoint = f"{behind['addresses'][0]['ip']}:{behind['ports'][0]['port']}"
        if self.proxied == (uid, endpoint) and rules.has_chain("mangle", "KUBE-PROXY-CANARY"):
            return
        config_map = client.get(f"/api/v1/namespaces/{SYSTEM}/configmaps/kube-proxy") or {}
        config: Any = yaml.safe_load(config_map.get("data", {}).get("config.conf", "{}"))
        service = as_proxy.get(own.format("services"))
        rules.proxy(config.get("clusterCIDR", ""), service["spec"]["clusterIP"], endpoint)
        self.proxied = uid, endpoint

    def _address(self, pod: Obj, node: Obj) -> str:
        if pod["spec"].get("hostNetwork"):
            return self.node_ip
        uid = pod["metadata"]["uid"]
        if uid not in self.addresses:
            hosts = [str(one) for one in ipaddress.ip_network(node["spec"]["podCIDR"]).hosts()][1:]
            before = pod.get("status", {}).get("podIP", "")
            free = [one for one in hosts if one not in self.addresses.values()]
            self.addresses[uid] = before if before in free else free[0]
        return self.addresses[uid]

    def _report(self, client: Client, pod: Obj, node: Obj, problem: Problem) -> None:
        old, spec, meta = pod.get("status", {}), pod["spec"], pod["metadata"]
        has_address = spec.get("hostNetwork") or bool(node["spec"].get("podCIDR"))
        is_running = problem is None and has_address
        reason, message = problem or ("ContainerCreating", "")
        waiting = {"waiting": {"reason": reason, "message": message}}
        before = {one["name"]: one for one in old.get("containerStatuses", [])}
        states = []
        for container in spec["containers"]:
            known = before.get(container["name"], {}).get("state", {}).get("running")
            state = {"running": known or {"startedAt": stamp()}} if is_running else waiting
            one = {"name": container["name"], "image": container["image"], "imageID": ""}
            one |= {"ready": is_running, "started": is_running, "restartCount": 0}
            states.append(one | {"state": state})
        true = CONDITIONS if is_running else EARLY
        conditions = [new_condition(pod, kind, kind in true) for kind in CONDITIONS]
        status: Obj = {
            "phase": "Running" if is_running or reason == "CrashLoopBackOff" else "Pending",
            "conditions": conditions,
            "hostIP": self.node_ip,
            "containerStatuses": states,
            "startTime": old.get("startTime", stamp()),
            "qosClass": "BestEffort",
        }
        if is_running:
            address = self._address(pod, node)
            status |= {"podIP": address, "podIPs": [{"ip": address}]}
        if status != old:
            path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status"
            with contextlib.suppress(ApiError):  # it may be gone, or newer
                client.merge(path, {"status": status})
