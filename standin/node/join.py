"""kubeadm join for a worker: discovery with a token and pinned keys, then TLS bootstrapping."""

from __future__ import annotations

import argparse
import hmac
import re
import time

import yaml
from cryptography import x509

from . import config as settings
from . import init, kubeconfig, pki, preflight, services, tokens
from .client import ApiError, Client, Unreachable, phase
from .common import TOKEN, Fatal, Obj, duration, is_ready, root, tell, text, write

INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
BOOTSTRAP = "/etc/kubernetes/bootstrap-kubelet.conf"
KUBELET = "/etc/kubernetes/kubelet.conf"
INTERVAL = 5.0  # seconds between two reads of cluster-info


def _cluster_info(client: Client, token_id: str, seconds: float) -> Obj:
    """Return cluster-info with a signature for the token; Fatal with the last reason in the end."""
    start = time.monotonic()
    while True:
        try:
            data: Obj = client.request("GET", INFO)["data"]
            if f"jws-kubeconfig-{token_id}" in data:
                return data
            reason = text("no-signature", name=token_id)
        except (ApiError, Unreachable) as error:
            why = str(error).replace('cluster-info"', 'cluster-info?timeout=10s"')
            reason = text("no-info", why=why)
        left = seconds - (time.monotonic() - start)
        time.sleep(max(min(INTERVAL, left), 0))
        if left <= INTERVAL:
            raise Fatal(reason)


def discover(join: Obj) -> Obj:
    """Return the cluster's entry of a kubeconfig, checked against the token and the pinned keys."""
    given = join["discovery"]["bootstrapToken"]
    match = TOKEN.match(given["token"])
    assert match is not None
    seconds = duration(join["timeouts"]["discovery"]).total_seconds()
    server, pins = f"https://{given['apiServerEndpoint']}", given["caCertHashes"]
    data = _cluster_info(Client(server), match[1], seconds)
    for pin in pins:
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", pin):
            raise Fatal(text("bad-pin", pin=pin, count=len(pin.partition(":")[2]) // 2))
    wanted = tokens.signature(data["kubeconfig"], match[1], match[2])
    if not hmac.compare_digest(wanted, data[f"jws-kubeconfig-{match[1]}"]):
        raise Fatal(text("bad-signature"))
    cluster: Obj = yaml.safe_load(data["kubeconfig"])["clusters"][0]["cluster"]
    authority = kubeconfig.data(cluster, "certificate-authority")
    found = pki.public_key_hash(x509.load_pem_x509_certificate(authority))
    if pins and found not in pins:
        raise Fatal(text("not-pinned", found=found))
    return cluster


def _fetch(client: Client) -> tuple[Obj, Obj]:
    """Return ClusterConfiguration and KubeletConfiguration of the cluster."""
    tell("reading", phase="preflight")
    try:
        cluster = client.stored("kubeadm-config", "ClusterConfiguration")
        return cluster, client.stored("kubelet-config", "kubelet")
    except (ApiError, Unreachable) as error:
        raise Fatal(text("no-config-map", why=error)) from None


def _kubelet_start(join: Obj, cluster: Obj, cluster_name: str, kubelet: Obj) -> None:
    """Write the files in kubeadm's order, then start the kubelet."""
    authority = kubeconfig.data(cluster, "certificate-authority")
    credentials = {"token": join["discovery"]["tlsBootstrapToken"]}
    user = "tls-bootstrap-token-user"
    content = kubeconfig.document(cluster["server"], cluster_name, user, authority, credentials)
    kubeconfig.save(BOOTSTRAP, content)
    if not root(join["caCertPath"]).exists():
        write(join["caCertPath"], authority)
    registration = join["nodeRegistration"]
    node = Client.of(content).get(f"/api/v1/nodes/{registration['name']}") or {}
    if is_ready(node):
        raise Fatal(text("node-there", name=registration["name"]))
    services.kubelet("stop")
    init.write_kubelet_files(kubelet, registration["criSocket"])
    init.write_environment(registration)
    tell("kubelet-start")
    services.kubelet("start")


def _wait_bootstrap(join: Obj) -> None:
    """Wait for the kubelet's certificate; the bootstrap file goes, whatever the end."""
    seconds = {name: duration(one).total_seconds() for name, one in join["timeouts"].items()}
    try:
        services.wait_healthy(seconds["kubeletHealthCheck"])
        tell("tls-bootstrap")
        failure = "failed while waiting for TLS bootstrap: context deadline exceeded"
        init.wait_for(root(KUBELET).exists, seconds["tlsBootstrap"], failure)
    finally:
        root(BOOTSTRAP).unlink(missing_ok=True)


def main(options: argparse.Namespace) -> None:
    """kubeadm join."""
    join = settings.load_join(options.config)
    listed = join["nodeRegistration"]["ignorePreflightErrors"]
    ignored = preflight.ignored(options.ignore_preflight_errors, listed)
    tell("preflight")
    with phase("preflight"):
        preflight.run([preflight.PRIVILEGED], ignored)
        preflight.run(preflight.join_checks(join), ignored)
        try:
            found = discover(join)
        except Fatal as error:
            raise Fatal(text("no-identity", why=error)) from None
        authority = kubeconfig.data(found, "certificate-authority")
        credentials = {"token": join["discovery"]["tlsBootstrapToken"]}
        cluster, kubelet = _fetch(Client(found["server"], authority, credentials))
    with phase("kubelet-start"):
        _kubelet_start(join, found, str(cluster.get("clusterName", "kubernetes")), kubelet)
    with phase("kubelet-wait-bootstrap"):
        _wait_bootstrap(join)
    tell("joined")
