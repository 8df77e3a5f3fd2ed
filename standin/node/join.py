"""
kubeadm join: discovery with a token and pinned keys, then TLS bootstrapping.

A further control plane gets the shared certificates first, and its etcd joins the others'.
"""

from __future__ import annotations

import argparse
import hmac
import re
import time

import yaml
from cryptography import x509

from . import config as settings
from . import init, kubeconfig, pki, preflight, services, sharing, tokens
from .client import ApiError, Client, Unreachable, admin, phase
from .common import Fatal, Obj, duration, is_ready, root, tell, text, write
from .members import Members

INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
BOOTSTRAP = "/etc/kubernetes/bootstrap-kubelet.conf"
INTERVAL = 5.0  # seconds between two reads of cluster-info


def _cluster_info(client: Client, token_id: str, seconds: float) -> Obj:
    """Return cluster-info with a signature for the token; Fatal with the last reason in the end."""

    def signed() -> Obj:
        try:
            data: Obj = client.request("GET", INFO)["data"]
        except (ApiError, Unreachable) as error:
            why = str(error).replace('cluster-info"', 'cluster-info?timeout=10s"')
            raise Unreachable(text("no-info", why=why)) from None
        if f"jws-kubeconfig-{token_id}" not in data:
            raise Unreachable(text("no-signature", name=token_id))
        return data

    return dict(init.wait_for(signed, seconds, "", INTERVAL))


def discover(join: Obj) -> Obj:
    """Return the cluster's entry of a kubeconfig, checked against the token and the pinned keys."""
    given = join["discovery"]["bootstrapToken"]
    name, _, secret = given["token"].partition(".")
    seconds = duration(join["timeouts"]["discovery"]).total_seconds()
    server, pins = f"https://{given['apiServerEndpoint']}", given["caCertHashes"]
    data = _cluster_info(Client(server), name, seconds)
    for pin in pins:
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", pin):
            raise Fatal(text("bad-pin", pin=pin, count=len(pin.partition(":")[2]) // 2))
    wanted = tokens.signature(data["kubeconfig"], name, secret)
    if not hmac.compare_digest(wanted, data[f"jws-kubeconfig-{name}"]):
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


def _check_control_plane(config: settings.Config) -> None:
    """Do the checks for a further control plane, and pull its images."""
    if not config.cluster["controlPlaneEndpoint"]:
        raise Fatal(text("no-endpoint"))
    tell("control-plane-preflight")
    preflight.run_with_images(preflight.control_plane_checks(config), config)


def _prepare_control_plane(config: settings.Config, client: Client, key: str) -> None:
    """Make its files; client: the token's, for those that all control planes share."""
    with phase("control-plane-prepare/download-certs"):
        if key:
            sharing.download(client, config, key)
    with phase("control-plane-prepare/certs"):
        tell("certs", folder=config.directory)
        for leaf in pki.table(config)["leaves"]:
            init.make_leaf(config, leaf)
        tell("certs-valid", folder=config.directory)
        tell("sa-there")
    with phase("control-plane-prepare/kubeconfig"):
        tell("kubeconfigs-joining")
        init.kubeconfigs(config, joins=True)
    with phase("control-plane-prepare/control-plane"):
        init.control_plane(config)
    with phase("check-etcd"):
        tell("check-etcd")
        Members(admin(), config).check()


def _etcd_join(config: settings.Config) -> None:
    """Add this node's etcd to the others as a learner; it votes once it has all that they have."""
    try:
        members = Members(admin(), config)
        init.etcd(config, members.add())
        members.promote()
    except (ApiError, Unreachable, Fatal) as error:
        raise Fatal(text("etcd-not-joined", why=error)) from None
    tell("etcd-waiting")
    members.check()


def _kubelet_start(join: Obj, client: Client, cluster: Obj, name: str, kubelet: Obj) -> None:
    """Write the files in kubeadm's order, then start the kubelet."""
    authority = kubeconfig.data(cluster, "certificate-authority")
    credentials = {"token": join["discovery"]["tlsBootstrapToken"]}
    user, server = "tls-bootstrap-token-user", cluster["server"]
    if join.get("controlPlane"):
        server = settings.own_server(join["controlPlane"]["localAPIEndpoint"])
    content = kubeconfig.document(server, name, user, authority, credentials)
    kubeconfig.save(BOOTSTRAP, content)
    if not root(join["caCertPath"]).exists():
        write(join["caCertPath"], authority)
    registration = join["nodeRegistration"]
    node = client.get(f"/api/v1/nodes/{registration['name']}") or {}
    if is_ready(node):
        raise Fatal(text("node-there", name=registration["name"]))
    services.kubelet("stop")
    init.write_kubelet_files(kubelet, registration["criSocket"])
    init.write_environment(registration)
    tell("kubelet-start")
    services.kubelet("start")


def _wait_bootstrap(join: Obj) -> None:
    """Wait for the kubelet's certificate; the bootstrap file goes, whatever the end."""
    seconds = duration(join["timeouts"]["tlsBootstrap"]).total_seconds()
    try:
        services.wait_healthy(join["timeouts"]["kubeletHealthCheck"])
        tell("tls-bootstrap")
        failure = "failed while waiting for TLS bootstrap: context deadline exceeded"
        init.wait_for(root(init.CURRENT).exists, seconds, failure)
    finally:
        root(BOOTSTRAP).unlink(missing_ok=True)


def main(options: argparse.Namespace) -> None:
    """kubeadm join."""
    join = settings.load_join(options.config)
    plane: Obj = join.get("controlPlane") or {}
    if plane:
        sharing.check_key(plane["certificateKey"], "JoinControlPlane.controlPlane.certificateKey")
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
        client = Client(found["server"], authority, credentials)
        cluster, kubelet = _fetch(client)
        documents = {"InitConfiguration": join | plane, "ClusterConfiguration": cluster}
        config = settings.with_defaults(documents | {"KubeletConfiguration": kubelet})
        config.ignored = ignored
        if plane:
            _check_control_plane(config)
    if plane:
        _prepare_control_plane(config, client, plane["certificateKey"])
    with phase("kubelet-start"):
        _kubelet_start(join, client, found, config.cluster["clusterName"], kubelet)
    start = time.monotonic()
    if plane:
        with phase("etcd-join"):
            _etcd_join(config)
    with phase("kubelet-wait-bootstrap"):
        _wait_bootstrap(join)
    if plane:
        with phase("control-plane-join/mark-control-plane"):
            init.mark_control_plane(config)
        with phase("wait-control-plane"):
            init.wait_for_components(config, start)
    tell("joined-control-plane" if plane else "joined")
