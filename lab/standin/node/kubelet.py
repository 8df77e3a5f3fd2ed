"""
The stand-in kubelet: `kubelet --config=… --kubeconfig=… --bootstrap-kubeconfig=… --node-ip=…`.

It exits as the real one does when its configuration is missing, swap is on or the container runtime
is away; then it gets its certificate, registers its Node, renews its Lease and reports what is
true.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import http.server
import socket
import sys
import threading
import time

import yaml

from . import config as settings
from . import controlplane, cri, kubeletauth, manifests, nodestatus
from .client import ApiError, Client, Unreachable
from .common import CRI_SOCKET, SYSTEM, VERSION, Fatal, Obj, klog, quote, root, stamp
from .kubeletflags import Health, check_swap, load_config, parse, refused
from .pods import Pods

LEASE_SECONDS, HEARTBEAT = 40, 10.0
# Seconds between two rounds: while something is still to become Ready, and when all is.
EAGER, CALM = 1.0, 3.0


class Kubelet:
    """One kubelet."""

    def __init__(self, flags: dict[str, str]) -> None:
        self.flags = flags
        self.config = load_config(flags["config"])
        self.name = flags.get("hostname-override") or settings.host_name()
        endpoint = (
            flags.get("container-runtime-endpoint")
            or self.config.get("containerRuntimeEndpoint")
            or CRI_SOCKET
        )
        self.runtime = cri.Runtime(endpoint)
        self.driver = self.config.get("cgroupDriver", "cgroupfs")
        self.pods = Pods(self.name, flags.get("node-ip", ""), self.runtime)
        self.client: Client | None = None
        self.seen = ""
        self.manifest_seen = ""
        self.beat = 0.0
        self.settled = False

    def checks(self) -> None:
        """What ends the real one at its start."""
        check_swap(self.config)
        try:
            self.runtime.version()
        except cri.CriError as error:
            raise refused(
                f'failed to run Kubelet: validate service connection: validate CRI v1 runtime API for endpoint "{self.runtime.endpoint}": {error}'
            ) from None
        boot = self.flags.get("bootstrap-kubeconfig", "")
        if not root(self.flags["kubeconfig"]).exists() and not root(boot).exists():
            raise refused(
                f"failed to run Kubelet: unable to load bootstrap kubeconfig: stat {boot}: no such file or directory"
            )

    def listen(self) -> None:
        """The health port, and the kubelet's own port, on which nothing is served."""
        port = int(self.config.get("healthzPort", 10248))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Health)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.own = socket.create_server(("", int(self.config.get("port", 10250))))

        def accept() -> None:
            while True:
                self.own.accept()[0].close()

        threading.Thread(target=accept, daemon=True).start()

    def static_pods(self, state: nodestatus.State) -> None:
        """The control plane's process follows the manifests."""
        if not controlplane.wanted():
            if self.manifest_seen:
                controlplane.stop()
                self.manifest_seen = ""
            return
        if not state.runs_pods:
            return
        found = controlplane.fingerprint()
        if self.manifest_seen and self.manifest_seen != found:
            controlplane.stop()
        self.manifest_seen = found
        if controlplane.running():
            return
        present = {name for one in state.images for name in one["repoTags"]}
        for file in manifests.all_files():
            image = yaml.safe_load(file.read_text())["spec"]["containers"][0]["image"]
            if image not in present:
                self.say(f"static Pod {file.stem}: no image {image} here, pulling it")
                try:
                    self.runtime.pull(image)
                except cri.CriError as error:
                    self.say(str(error))
                    return
        controlplane.start()

    def say(self, text: str) -> None:
        """A line in the journal, once."""
        if text != self.seen:
            self.seen = text
            klog("I", "kubelet.go:1", text)

    def mirror(self, client: Client, node: Obj) -> None:
        """The static Pods' mirror pods."""
        for file in manifests.all_files():
            pod = yaml.safe_load(file.read_text())
            pod.pop("status", None)
            meta = pod["metadata"]
            meta["name"] = f"{meta['name']}-{self.name}"
            meta["annotations"] = (meta.get("annotations") or {}) | {
                "kubernetes.io/config.mirror": "stand-in",
                "kubernetes.io/config.source": "file",
            }
            meta["ownerReferences"] = [
                {
                    "apiVersion": "v1",
                    "kind": "Node",
                    "name": self.name,
                    "uid": node["metadata"]["uid"],
                    "controller": True,
                }
            ]
            pod["spec"]["nodeName"] = self.name
            path = f"/api/v1/namespaces/{meta['namespace']}/pods"
            if client.get(f"{path}/{meta['name']}") is None:
                client.request("POST", path, pod)

    def register(self, client: Client) -> Obj:
        """The Node object, made when it is missing."""
        node = client.get(f"/api/v1/nodes/{self.name}")
        if node is None:
            labels = dict(
                one.split("=", 1)
                for one in self.flags.get("node-labels", "").split(",")
                if "=" in one
            )
            wanted = nodestatus.new_node(
                self.name, labels, nodestatus.taints(self.flags.get("register-with-taints", ""))
            )
            node = client.request("POST", "/api/v1/nodes", wanted)
        return dict(node)

    def lease(self, client: Client) -> None:
        """The heartbeat."""
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        spec = {
            "holderIdentity": self.name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": stamp(micro=True),
        }
        try:
            client.merge(f"{path}/{self.name}", {"spec": spec})
        except ApiError as error:
            if error.status != 404:
                raise
            meta = {"name": self.name, "namespace": "kube-node-lease"}
            client.request(
                "POST",
                path,
                {
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": meta,
                    "spec": spec,
                },
            )

    def report(self, client: Client, node: Obj, state: nodestatus.State) -> None:
        """Status and annotations, when something changed or a heartbeat is due."""
        old = node.get("status", {})
        new = nodestatus.status(
            old, self.name, self.flags.get("node-ip", ""), state, self.pods.flannel_up
        )
        due = time.monotonic() - self.beat > HEARTBEAT
        if due:
            self.lease(client)
            self.beat = time.monotonic()
        if not nodestatus.unchanged(old, new):
            client.merge(f"/api/v1/nodes/{self.name}/status", {"status": new})
        known = node["metadata"].get("annotations", {})
        if self.pods.flannel_up and not self.pods.annotations.items() <= known.items():
            client.merge(
                f"/api/v1/nodes/{self.name}", {"metadata": {"annotations": self.pods.annotations}}
            )

    def round(self) -> None:
        """Everything once."""
        state = nodestatus.look(self.runtime, self.driver)
        self.settled = False
        for problem in state.problems:
            self.say(problem)
        self.static_pods(state)
        try:
            self.client = self.client or kubeletauth.credentials(self.name, self.flags)
            node = self.register(self.client)
            self.report(self.client, node, state)
            running = self.pods.sync(self.client, node, state)
            self.settled = running and not state.problems
            if controlplane.wanted():
                self.mirror(self.client, node)
        except (ApiError, Unreachable, Fatal, OSError) as error:
            if isinstance(error, ApiError) and error.status == 401:
                self.client = None
            self.say(f"Unable to reach the API: {error}")


def main(arguments: list[str]) -> int:
    """Run until stopped."""
    flags = parse(arguments)
    if "version" in flags:
        print(f"Kubernetes {VERSION}")
        return 0
    if "config" not in flags:
        flags |= {"config": "/var/lib/kubelet/config.yaml"}
    flags.setdefault("kubeconfig", "/etc/kubernetes/kubelet.conf")
    try:
        kubelet = Kubelet(flags)
        kubelet.checks()
        kubelet.listen()
    except Fatal as error:
        klog("E", "run.go:72", str(error))
        return 1
    except OSError as error:
        klog("E", "run.go:72", f'"command failed" err={quote(f"failed to listen: {error}")}')
        return 1
    klog(
        "I",
        "server.go:1",
        f"stand-in kubelet {VERSION} on {kubelet.name} ({SYSTEM} pods do not run)",
    )
    while True:
        kubelet.round()
        time.sleep(CALM if kubelet.settled else EAGER)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
