"""
The stand-in kubelet's work: it gets its certificate, registers its Node, renews its Lease and
reports its state. It exits as the real one does when swap is on or the container runtime is away.
"""

from __future__ import annotations

import base64
import http.server
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from . import config as settings
from . import kubeconfig, manifests, node, pki, services
from .client import ApiError, Client, Unreachable
from .common import CRI_SOCKET, VERSION, Fatal, Obj, klog, replace, root, stamp, template
from .common import text as recorded
from .containerd import CriError, Runtime
from .pods import Pods
from .server import hold

HEARTBEAT = 10.0
# Seconds between two rounds: while something is still to become Ready, and when all is.
EAGER, CALM = 1.0, 5.0
BACKOFF = 3.0  # seconds between two starts of what ends at once
PKI = "/var/lib/kubelet/pki"
CURRENT = f"{PKI}/kubelet-client-current.pem"
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class Health(http.server.BaseHTTPRequestHandler):
    """127.0.0.1:10248/healthz."""

    def do_GET(self) -> None:
        """Answer ok."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


def check_swap(config: Obj) -> None:
    """Fatal when swap is on and may not be."""
    if settings.has_swap() and config.get("failSwapOn", True):
        raise Fatal(recorded("kubelet-swap"))


def _store_certificate(data: bytes) -> None:
    """Write kubelet-client-<time>.pem and the link kubelet-client-current.pem."""
    file = f"{PKI}/kubelet-client-{datetime.now().strftime('%Y-%m-%d-%H-%M-%S')}.pem"
    replace(root(file), data)
    link = root(f"{CURRENT}.new")
    link.unlink(missing_ok=True)
    link.symlink_to(root(file))
    link.rename(root(CURRENT))


def _is_valid(path: str) -> bool:
    """Whether a kubeconfig is there, with a client certificate that has not expired."""
    found = kubeconfig.certificate(path)
    return found is not None and found.not_valid_after_utc > datetime.now(UTC)


def _make_serving_certificate(name: str) -> None:
    """Make the self-signed pair for port 10250, where there is none."""
    if not all(root(f"{PKI}/kubelet.{end}").exists() for end in ("crt", "key")):
        made = pki.new_authority(f"{name}@{int(time.time())}", "RSA-2048", timedelta(days=365))
        pki.write_pair(PKI, "kubelet", made)


def _bootstrap(name: str, path: str, content: Obj) -> None:
    """Write kubelet.conf, get the certificate that it names with the token (TLS bootstrapping)."""
    cluster, _ = kubeconfig.cluster_and_user(content)
    authority = kubeconfig.data(cluster, "certificate-authority")
    own = {"client-certificate": CURRENT, "client-key": CURRENT}
    user, (first, *_) = "default-auth", content["clusters"]
    made_config = kubeconfig.document(cluster["server"], first["name"], user, authority, own)
    replace(root(path), yaml.safe_dump(made_config).encode())
    client, key = Client.of(content), pki.new_key("ECDSA-P256")
    subject = pki.subject(f"system:node:{name}", "system:nodes")
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    pem = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (wanted,) = template("signing-request", request=base64.b64encode(pem).decode())
    made = client.request("POST", CSRS, wanted)
    while not made.get("status", {}).get("certificate"):
        time.sleep(0.2)
        made = client.request("GET", f"{CSRS}/{made['metadata']['name']}")
    _store_certificate(base64.b64decode(made["status"]["certificate"]) + pki.key_pem(key))


def mirror(client: Client, node: Obj) -> None:
    """Make the static Pods' mirror pods, anew when a manifest has changed."""
    name = node["metadata"]["name"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "controller": True}
    for pod in manifests.pods().values():
        meta = pod["metadata"]
        meta |= {"name": f"{meta['name']}-{name}"}
        meta["ownerReferences"] = [owner | {"uid": node["metadata"]["uid"]}]
        meta["annotations"] |= {"kubernetes.io/config.mirror": meta["annotations"][manifests.HASH]}
        pod["spec"]["nodeName"] = name
        path = f"/api/v1/namespaces/{meta['namespace']}/pods"
        old = client.get(f"{path}/{meta['name']}")
        if old and old["metadata"].get("annotations") != meta["annotations"]:
            client.request("DELETE", f"{path}/{meta['name']}", {"gracePeriodSeconds": 0})
            old = None
        if old is None:
            client.request("POST", path, pod)


class Kubelet:
    """One kubelet."""

    def __init__(self, flags: dict[str, str], config: Obj) -> None:
        self.flags, self.config = flags, config
        self.name = flags.get("hostname-override") or settings.host_name()
        endpoint = flags.get("container-runtime-endpoint") or config.get("containerRuntimeEndpoint")
        self.runtime = Runtime(endpoint or CRI_SOCKET)
        self.pods = Pods(self.name, flags.get("node-ip", ""), self.runtime)
        self.client: Client | None = None
        self.manifests: dict[str, list[str]] = {}
        self.starts: dict[str, float] = {}
        self.said, self.beat = "", 0.0
        self.is_settled = self.is_registered = False

    def check(self) -> None:
        """Raise Fatal for what ends the real one at its start."""
        check_swap(self.config)
        try:
            self.runtime.check()
        except CriError as error:
            why = recorded("kubelet-no-runtime", endpoint=self.runtime.endpoint, why=error)
            raise Fatal(why) from None
        boot = self.flags.get("bootstrap-kubeconfig", "")
        if not _is_valid(self.flags["kubeconfig"]) and not root(boot).exists():
            raise Fatal(recorded("kubelet-no-bootstrap", path=boot))

    def listen(self) -> None:
        """Serve the health port; hold the kubelet's own port, on which nothing is served."""
        _make_serving_certificate(self.name)
        port = int(self.config.get("healthzPort", 10248))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Health)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hold("", int(self.config.get("port", 10250)))

    def say(self, line: str) -> None:
        """Print a line to the journal, once."""
        if line != self.said:
            self.said = line
            klog("I", "kubelet.go:1", line)

    def _credentials(self) -> Client:
        """Return the client of kubelet.conf, through TLS bootstrapping when there is none yet."""
        path = self.flags["kubeconfig"]
        if not _is_valid(path):
            _bootstrap(self.name, path, kubeconfig.load(self.flags["bootstrap-kubeconfig"]))
        content = kubeconfig.load(path)
        _, user = kubeconfig.cluster_and_user(content)
        if not root(CURRENT).exists() and user.get("client-certificate-data"):
            names = ("client-certificate", "client-key")
            _store_certificate(b"".join(kubeconfig.data(user, name) for name in names))
        return Client.of(content)

    def _static_pods(self, state: node.State) -> None:
        """Let the two processes follow the manifests, and start again what has ended."""
        pods = manifests.pods()
        for unit, names in services.UNITS.items():
            found = [pods[name] for name in names if name in pods and names[0] in pods]
            hashes = [one["metadata"]["annotations"][manifests.HASH] for one in found]
            if self.manifests.get(unit, hashes) != hashes:
                services.stop(unit)
                self.starts.pop(unit, None)
            self.manifests[unit] = hashes
            if not found or not state.runs_pods or services.is_running(unit):
                continue
            if time.monotonic() - self.starts.get(unit, -BACKOFF) < BACKOFF:
                continue
            self.starts[unit] = time.monotonic()
            wanted = {one["spec"]["containers"][0]["image"] for one in found}
            try:
                for image in wanted - state.images.keys():
                    self.say(f"static Pods: no image {image} here, pulling it")
                    self.runtime.pull(image)
                services.start(unit, found[0], self.name)
            except CriError as error:
                self.say(str(error))

    def _lease(self, client: Client) -> None:
        """Renew the heartbeat."""
        values = {"name": self.name, "holder": self.name, "seconds": "40"}
        values |= {"namespace": "kube-node-lease", "time": stamp(micro=True)}
        client.put(LEASES, *template("lease", **values))

    def _report(self, client: Client, own: Obj, state: node.State) -> None:
        """Report status and annotations, when something changed or a heartbeat is due."""
        old, path = own.get("status", {}), f"/api/v1/nodes/{self.name}"
        flannel, address = self.pods.is_flannel_up, self.flags.get("node-ip", "")
        new = node.status(old, self.name, address, state, flannel)
        if time.monotonic() - self.beat > HEARTBEAT:
            self._lease(client)
            self.beat = time.monotonic()
        if node.still(old) != node.still(new):
            client.merge(f"{path}/status", {"status": new})
        known = own["metadata"].get("annotations", {})
        if flannel and not self.pods.annotations.items() <= known.items():
            client.merge(path, {"metadata": {"annotations": self.pods.annotations}})

    def round(self) -> None:
        """Do everything once."""
        state = node.gather(self.runtime, self.config.get("cgroupDriver", "cgroupfs"))
        self.is_settled = False
        for problem in state.problems:
            self.say(problem)
        self._static_pods(state)
        try:
            client = self.client = self.client or self._credentials()
            own = client.get(f"/api/v1/nodes/{self.name}")
            if own is None and self.is_registered:
                raise Fatal(f'node "{self.name}" not found')
            own = own or client.request("POST", "/api/v1/nodes", node.new_node(self.name))
            self.is_registered = True  # once in its life: a node that is deleted stays away
            self._report(client, own, state)
            runs_all = self.pods.sync(client, own, state)
            self.is_settled = runs_all and not state.problems
            mirror(client, own)
        except (ApiError, Unreachable, Fatal, OSError) as error:
            if isinstance(error, ApiError) and error.status == 401:
                self.client = None
            self.say(f"Error updating node status, will retry: {error}")

    def run(self) -> str:
        """Run until stopped; return why it can't be started."""
        try:
            self.check()
            self.listen()
        except (Fatal, OSError) as error:
            return str(error)
        self.say(f"stand-in kubelet {VERSION} on {self.name}: it runs no containers")
        while True:
            self.round()
            time.sleep(CALM if self.is_settled else EAGER)
