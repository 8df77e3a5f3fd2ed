"""
The pods of one node: which would run here, and what the node's own pods (flannel, kube-proxy) do to
it.
"""

from __future__ import annotations

import ipaddress
import os
import time
from dataclasses import dataclass, field

from . import cri, rules
from .client import ApiError, Client
from .common import SYSTEM, Obj, stamp
from .flannel import Flannel, NotRunning
from .nodestatus import State, internal_address

RESYNC = 5.0  # seconds between flannel's looks; kube-proxy's canary is looked at as often
BACKOFF = 20.0  # seconds between two attempts to pull an image


@dataclass
class Pods:
    """
    What the kubelet knows of its pods.

    + name, node_ip: this node
    + runtime: the container runtime, asked for images
    """

    name: str
    node_ip: str
    runtime: cri.Runtime
    flannel: Flannel = field(default_factory=Flannel)
    flannel_up: bool = False
    annotations: Obj = field(default_factory=dict)
    proxied: tuple[str, list[rules.Service]] | None = None
    pulls: dict[str, tuple[float, str]] = field(default_factory=dict)
    looked: float = 0.0
    used: dict[str, str] = field(default_factory=dict)

    def sync(self, client: Client, node: Obj, state: State) -> bool:
        """One round over all pods of this node; whether all of them run."""
        pods = client.request("GET", f"/api/v1/pods?fieldSelector=spec.nodeName%3D{self.name}")[
            "items"
        ]
        present = {name for one in state.images for name in one["repoTags"] + one["repoDigests"]}
        self.used = {
            uid: ip
            for uid, ip in self.used.items()
            if any(one["metadata"]["uid"] == uid for one in pods)
        }
        flannel_up, everything = False, True
        for pod in pods:
            problem = self._problem(client, pod, node, state, present)
            if pod["metadata"].get("labels", {}).get("app") == "flannel" and not problem:
                flannel_up = True
            self._report(client, pod, node, problem)
            everything &= problem is None
        self.flannel_up = flannel_up
        if state.runs_pods and time.monotonic() - self.looked > RESYNC:
            self.looked = time.monotonic()
            if os.environ.get("STANDIN_ROOT") is None:
                rules.kubelet()
        return everything

    def _problem(
        self, client: Client, pod: Obj, node: Obj, state: State, present: set[str]
    ) -> tuple[str, str] | None:
        """(reason, message) why a pod is not running, None when it is."""
        if not state.runs_pods:
            return "ContainerCreating", ""
        for container in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]:
            if failed := self._image(container["image"], present):
                return failed
        labels = pod["metadata"].get("labels", {})
        if labels.get("app") == "flannel" and pod["metadata"]["namespace"] == "kube-flannel":
            return self._flannel(client, pod, node)
        if labels.get("k8s-app") == "kube-proxy":
            self._proxy(client, pod)
            return None
        if not pod["spec"].get("hostNetwork") and state.no_network:
            return "ContainerCreating", state.no_network
        return None

    def _image(self, image: str, present: set[str]) -> tuple[str, str] | None:
        full = image if "/" in image else f"docker.io/library/{image}"
        full = full if ":" in full.rpartition("/")[2] else f"{full}:latest"
        if {image, full} & present:
            return None
        when, said = self.pulls.get(full, (0.0, ""))
        if not said or time.monotonic() - when > BACKOFF:
            try:
                self.runtime.pull(full)
                self.pulls.pop(full, None)
                return None
            except cri.CriError as error:
                said = str(error)
                self.pulls[full] = (time.monotonic(), said)
        return "ImagePullBackOff", f'Back-off pulling image "{image}": {said}'

    def _flannel(self, client: Client, pod: Obj, node: Obj) -> tuple[str, str] | None:
        config_map = client.get("/api/v1/namespaces/kube-flannel/configmaps/kube-flannel-cfg")
        others = client.request("GET", "/api/v1/nodes")["items"]
        container = pod["spec"]["containers"][0]
        try:
            self.annotations = self.flannel.run(
                config_map, node, others, container.get("args") or container.get("command") or []
            )
        except NotRunning as reason:
            print(f"flannel: {reason}", flush=True)
            return "CrashLoopBackOff", str(reason)
        return None

    def _proxy(self, client: Client, pod: Obj) -> None:
        """
        Full sync for a new pod, changed Services or a missing canary; else nothing, as recorded.
        """
        uid = pod["metadata"]["uid"]
        services = self._services(client)
        canary = (
            time.monotonic() - self.looked <= RESYNC or os.environ.get("STANDIN_ROOT") is not None
        )
        if self.proxied == (uid, services) and (
            canary or rules.has_chain("mangle", "KUBE-PROXY-CANARY")
        ):
            return
        config_map = client.get(f"/api/v1/namespaces/{SYSTEM}/configmaps/kube-proxy")
        text = (config_map or {}).get("data", {}).get("config.conf", "")
        network = next(
            (
                line.partition(":")[2].strip()
                for line in text.splitlines()
                if line.startswith("clusterCIDR:")
            ),
            "",
        )
        if os.environ.get("STANDIN_ROOT") is None:
            rules.proxy(services, network.strip("'\""))
        self.proxied = (uid, services)

    def _services(self, client: Client) -> list[rules.Service]:
        ready: dict[str, list[Obj]] = {}
        for pod in client.request("GET", "/api/v1/pods")["items"]:
            if pod.get("status", {}).get("podIP") and pod["status"].get("phase") == "Running":
                ready.setdefault(pod["metadata"]["namespace"], []).append(pod)
        found = []
        for one in client.request("GET", "/api/v1/services")["items"]:
            meta, spec = one["metadata"], one["spec"]
            chosen = (spec.get("selector") or {}).items()
            backs = [
                pod["status"]["podIP"]
                for pod in ready.get(meta["namespace"], [])
                if chosen and chosen <= pod["metadata"].get("labels", {}).items()
            ]
            if not chosen:
                path = f"/api/v1/namespaces/{meta['namespace']}/endpoints/{meta['name']}"
                for subset in (client.get(path) or {}).get("subsets") or []:
                    backs += [end["ip"] for end in subset["addresses"]]
            if spec.get("clusterIP") in (None, "None") or not backs:
                continue
            for port in spec.get("ports", []):
                name = f"{meta['namespace']}/{meta['name']}"
                name += f":{port['name']}" if port.get("name") else ""
                target = port.get("targetPort")
                target = target if isinstance(target, int) else port["port"]
                ends = tuple(f"{ip}:{target}" for ip in sorted(backs))
                kind = port.get("protocol", "TCP").lower()
                found.append(rules.Service(name, spec["clusterIP"], port["port"], kind, ends))
        return sorted(found, key=lambda one: (one.name, one.port))

    def _pod_ip(self, pod: Obj, node: Obj) -> str:
        if pod["spec"].get("hostNetwork"):
            return internal_address(self.node_ip)
        uid = pod["metadata"]["uid"]
        if uid not in self.used:
            hosts = [str(one) for one in ipaddress.ip_network(node["spec"]["podCIDR"]).hosts()][1:]
            before = pod.get("status", {}).get("podIP", "")
            taken = set(self.used.values())
            free = [one for one in [before, *hosts] if one in hosts and one not in taken]
            self.used[uid] = free[0]
        return self.used[uid]

    def _report(self, client: Client, pod: Obj, node: Obj, problem: tuple[str, str] | None) -> None:
        old = pod.get("status", {})
        running = problem is None and (
            pod["spec"].get("hostNetwork") or bool(node["spec"].get("podCIDR"))
        )
        reason, message = problem or ("ContainerCreating", "")
        states = []
        for container in pod["spec"]["containers"]:
            before: Obj = next(
                (
                    one
                    for one in old.get("containerStatuses", [])
                    if one["name"] == container["name"]
                ),
                {},
            )
            started = before.get("state", {}).get("running") or {"startedAt": stamp()}
            waiting = {"reason": reason} | ({"message": message} if message else {})
            states.append(
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "ready": running,
                    "started": running,
                    "restartCount": before.get("restartCount", 0),
                    "state": {"running": started} if running else {"waiting": waiting},
                }
            )
        status: Obj = {
            "phase": "Running" if running or reason == "CrashLoopBackOff" else "Pending",
            "conditions": [
                _condition(old, kind, running or kind in ("PodScheduled", "Initialized"))
                for kind in (
                    "PodReadyToStartContainers",
                    "Initialized",
                    "Ready",
                    "ContainersReady",
                    "PodScheduled",
                )
            ],
            "hostIP": internal_address(self.node_ip),
            "containerStatuses": states,
            "startTime": old.get("startTime", stamp()),
            "qosClass": "BestEffort",
        }
        if running:
            status["podIP"] = self._pod_ip(pod, node)
            status["podIPs"] = [{"ip": status["podIP"]}]
        if status != old:
            meta = pod["metadata"]
            try:
                client.merge(
                    f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status",
                    {"status": status},
                )
            except ApiError as error:
                if error.status not in (404, 409):
                    raise


def _condition(old: Obj, kind: str, true: bool) -> Obj:
    wanted = "True" if true else "False"
    before: Obj = next((one for one in old.get("conditions", []) if one["type"] == kind), {})
    if before.get("status") == wanted:
        return before
    return {"type": kind, "status": wanted, "lastProbeTime": None, "lastTransitionTime": stamp()}
