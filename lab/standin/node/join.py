"""
kubeadm join for a worker: discovery with a token and pinned keys, then the kubelet's own bootstrap.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import hmac
import itertools
import re
import time

import yaml

from . import checks, controllers, kubeconfig, nodephases, pki, preflight, service
from . import config as settings
from .client import ApiError, Client, Unreachable
from .common import MINOR, SYSTEM, TOKEN, Fatal, Obj, duration, klog, quote, root, say, write

INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
BOOTSTRAP = "/etc/kubernetes/bootstrap-kubelet.conf"
KUBELET = "/etc/kubernetes/kubelet.conf"
INTERVAL = 5.0  # seconds between two looks at cluster-info
DONE = """
This node has joined the cluster:
* Certificate signing request was sent to apiserver and a response was received.
* The Kubelet was informed of the new secure connection details.

Run 'kubectl get nodes' on the control-plane to see this node join the cluster.
"""


def _info(client: Client, token_id: str, seconds: float) -> Obj:
    """cluster-info with a signature for the token; Fatal with the last reason when time is up."""
    reason = ""
    start = time.monotonic()
    for tick in itertools.count(1):
        try:
            found = client.request("GET", INFO)
            data: Obj = found["data"]
            if f"jws-kubeconfig-{token_id}" in data:
                return data
            reason = f"could not find a JWS signature in the cluster-info ConfigMap for token ID {quote(token_id)}"
        except ApiError as error:
            reason = f"failed to request the cluster-info ConfigMap: {error}"
        except Unreachable as error:
            text = str(error).replace('cluster-info"', 'cluster-info?timeout=10s"')
            reason = f"failed to request the cluster-info ConfigMap: {text}"
        # The next look is at a multiple of the interval; none begins when the time is up.
        following = max(tick * INTERVAL, time.monotonic() - start)
        time.sleep(max(min(following, seconds) - (time.monotonic() - start), 0))
        if following >= seconds:
            break
    raise Fatal(reason)


def _pins(hashes: list[str]) -> list[str]:
    for one in hashes:
        kind, _, value = one.partition(":")
        if kind.lower() != "sha256":
            raise Fatal(
                f"invalid discovery token CA certificate hash: unknown format {quote(kind)}"
            )
        if not re.fullmatch(r"[0-9a-fA-F]*", value) or len(value) % 2:
            raise Fatal(
                f"invalid discovery token CA certificate hash: invalid hash {quote(one)}: encoding/hex: invalid byte"
            )
        if len(value) != 64:
            raise Fatal(
                f"invalid discovery token CA certificate hash: invalid hash {quote(one)}, expected a 32 byte SHA-256 hash, found {len(value) // 2} bytes"
            )
    return [one.lower() for one in hashes]


def discover(join: Obj) -> Obj:
    """The cluster's kubeconfig, checked against the token and the pinned keys."""
    given = join["discovery"]["bootstrapToken"]
    match = TOKEN.match(given["token"])
    assert match is not None
    seconds = duration(join["timeouts"]["discovery"]).total_seconds()
    server = f"https://{given['apiServerEndpoint']}"
    data = _info(Client(server), match[1], seconds)
    pins = _pins(given.get("caCertHashes") or [])
    wanted = controllers.signature(data["kubeconfig"], match[1], match[2])
    if not hmac.compare_digest(wanted, data[f"jws-kubeconfig-{match[1]}"]):
        raise Fatal(
            "failed to verify JWS signature of received cluster info object, can't trust this API Server"
        )
    content: Obj = yaml.safe_load(data["kubeconfig"])
    authority = kubeconfig.data(content["clusters"][0]["cluster"], "certificate-authority")
    found = pki.public_key_hash(pki.load_certificate(authority))
    if pins and found not in pins:
        raise Fatal(
            f"cluster CA found in cluster-info ConfigMap is invalid: none of the public keys {quote(found)} are pinned"
        )
    if pins:
        again = _info(Client(server, authority), match[1], seconds)
        if again["kubeconfig"] != data["kubeconfig"]:
            raise Fatal(
                "the second kubeconfig from the cluster-info ConfigMap (using validated TLS) was different from the first"
            )
    return dict(content["clusters"][0]["cluster"])


def fetch(client: Client) -> tuple[Obj, Obj]:
    """(ClusterConfiguration, KubeletConfiguration) of the cluster."""
    say(
        '[preflight] Reading configuration from the "kubeadm-config" ConfigMap in namespace "kube-system"...'
    )
    say(
        "[preflight] Use 'kubeadm init phase upload-config kubeadm --config your-config-file' to re-upload it."
    )
    found = []
    for name, key in (("kubeadm-config", "ClusterConfiguration"), ("kubelet-config", "kubelet")):
        path = f"/api/v1/namespaces/{SYSTEM}/configmaps/{name}"
        try:
            found.append(yaml.safe_load(client.request("GET", path)["data"][key]))
        except (ApiError, Unreachable) as error:
            raise Fatal(
                f"error execution phase preflight: unable to fetch the kubeadm-config ConfigMap: failed to get config map: {error}"
            ) from None
    proxy = client.get(f"/api/v1/namespaces/{SYSTEM}/configmaps/kube-proxy")
    if proxy and "bindAddress: 0.0.0.0" in proxy["data"].get("config.conf", ""):
        klog(
            "W",
            "utils.go:69",
            'The recommended value for "bindAddress" in "KubeProxyConfiguration" is: ::; the provided value is: 0.0.0.0',
        )
    return found[0], found[1]


def refuse_existing(client: Client, name: str) -> None:
    """A Node of this name that is Ready."""
    try:
        node = client.get(f"/api/v1/nodes/{name}")
    except ApiError as error:
        raise Fatal(
            f"error execution phase kubelet-start: cannot get Node {quote(name)}: {error}"
        ) from None
    for one in (node or {}).get("status", {}).get("conditions", []):
        if one["type"] == "Ready" and one["status"] == "True":
            raise Fatal(
                f'error execution phase kubelet-start: a Node with name {quote(name)} and status "Ready" already exists in the cluster. You must delete the existing Node or change the name of this new joining Node'
            )


def kubelet_start(join: Obj, cluster: Obj, cluster_name: str, kubelet: Obj) -> None:
    """The files in the real one's order, then the kubelet."""
    authority = kubeconfig.data(cluster, "certificate-authority")
    token = join["discovery"]["tlsBootstrapToken"]
    content = kubeconfig.document(
        cluster["server"], cluster_name, "tls-bootstrap-token-user", authority, {"token": token}
    )
    kubeconfig.save(BOOTSTRAP, content)
    if not root(join["caCertPath"]).exists():
        write(join["caCertPath"], authority)
    registration = join["nodeRegistration"]
    refuse_existing(Client.from_document(content), settings.node_name(registration))
    service.kubelet("stop")
    nodephases.kubelet_files(kubelet, registration["criSocket"])
    nodephases.environment(registration, True)
    say("[kubelet-start] Starting the kubelet")
    service.kubelet("start")


def wait_bootstrap(join: Obj) -> None:
    """The kubelet's certificate; the bootstrap file goes, whatever the end."""
    timeouts = join["timeouts"]
    try:
        service.wait_healthy(
            duration(timeouts["kubeletHealthCheck"]).total_seconds(), "kubelet-wait-bootstrap"
        )
        say("[kubelet-start] Waiting for the kubelet to perform the TLS Bootstrap")
        until = time.monotonic() + duration(timeouts["tlsBootstrap"]).total_seconds()
        while not root(KUBELET).exists():
            if time.monotonic() > until:
                raise Fatal(
                    "error execution phase kubelet-wait-bootstrap: failed while waiting for TLS bootstrap: context deadline exceeded"
                )
            time.sleep(0.2)
    finally:
        root(BOOTSTRAP).unlink(missing_ok=True)


def run(join: Obj, ignored: set[str]) -> None:
    """kubeadm join."""
    if join.get("controlPlane") is not None:
        raise Fatal("the stand-in has one control-plane node only: it can't join a second one")
    if join["discovery"].get("file"):
        raise Fatal("the stand-in knows discovery by bootstrapToken only")
    say("[preflight] Running pre-flight checks")
    try:
        preflight.run([checks.privileged()], ignored)
        preflight.run(preflight.join(join), ignored)
    except Fatal as error:
        raise Fatal(f"error execution phase preflight: {error}") from None
    try:
        found = discover(join)
    except Fatal as error:
        raise Fatal(
            f"error execution phase preflight: couldn't validate the identity of the API Server: {error}"
        ) from None
    authority = kubeconfig.data(found, "certificate-authority")
    client = Client(found["server"], authority, token=join["discovery"]["tlsBootstrapToken"])
    cluster, kubelet = fetch(client)
    wanted = int(str(cluster["kubernetesVersion"]).split(".")[1])
    if wanted > MINOR + 1 or wanted < MINOR - 3:
        raise Fatal(
            f"error execution phase preflight: unable to fetch the kubeadm-config ConfigMap: this version of kubeadm only supports deploying clusters with the control plane version >= 1.{MINOR - 1}.0. Current version: {cluster['kubernetesVersion']}"
        )
    kubelet_start(join, found, str(cluster.get("clusterName", "kubernetes")), kubelet)
    wait_bootstrap(join)
    say(DONE)


def from_flags(endpoint: str, token: str, hashes: list[str], unsafe: bool, extra: Obj) -> Obj:
    """The JoinConfiguration of `kubeadm join HOST:PORT --token …`."""
    given: Obj = {"apiServerEndpoint": endpoint, "token": token, "caCertHashes": hashes}
    if unsafe:
        given["unsafeSkipCAVerification"] = True
    return settings.join_defaults(
        {"discovery": {"bootstrapToken": given}, "nodeRegistration": extra}
    )
