"""What the stand-in's tests share: a root of their own, and a control plane on loopback in it."""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.standin.node import addons, config, controllers, kubeconfig, manifests, nodephases, server
from lab.standin.node.client import Client
from lab.standin.node.store import Store

CLUSTER = """
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: 127.0.0.1, bindPort: {port}}}
nodeRegistration: {{name: head}}
bootstrapTokens: [{{token: abcdef.0123456789abcdef}}]
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.4
encryptionAlgorithm: ECDSA-P256
networking: {{podSubnet: 10.244.0.0/16}}
"""


@dataclass
class ControlPlane:
    """A running API server with a cluster that kubeadm init has filled."""

    config: config.Config
    store: Store
    address: str
    admin: Client


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty node's file system."""
    monkeypatch.setenv("STANDIN_ROOT", str(tmp_path))
    for folder in ("etc/kubernetes/manifests", "var/lib/kubelet", "proc/sys/net/ipv4"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "proc/sys/net/ipv4/ip_forward").write_text("1\n")
    return tmp_path


@pytest.fixture
def control_plane(root: Path) -> Iterator[ControlPlane]:
    """Certificates, manifests and objects as init makes them; only the process is the test's own."""
    file = root / "kubeadm.yaml"
    file.write_text(CLUSTER.format(port=1))
    run = nodephases.Run(config.load_init(str(file)), set(), set())
    nodephases.certs(run)
    nodephases.etcd(run)
    nodephases.control_plane(run)
    pki = root / "etc/kubernetes/pki"
    store = Store(root / "var/lib/etcd")
    tls = server.context(*(str(pki / one) for one in ("apiserver.crt", "apiserver.key", "ca.crt")))
    running = server.serve(store, "127.0.0.1", 0, tls)
    port = int(running.server_address[1])
    run.config.init["localAPIEndpoint"]["bindPort"] = port
    nodephases.kubeconfigs(run)
    controllers.bootstrap(store, manifests.flags("kube-apiserver"))
    threading.Thread(target=running.serve_forever, daemon=True).start()
    client = Client.from_document(kubeconfig.load("/etc/kubernetes/super-admin.conf"))
    addons.admins(client)
    addons.upload_kubeadm(client, run.config)
    addons.upload_kubelet(client, run.config)
    addons.create_tokens(client, run.config.init["bootstrapTokens"])
    addons.token_roles(client)
    addons.cluster_info(client, run.config)
    controllers.tokens(store)
    admin = Client.from_document(kubeconfig.load("/etc/kubernetes/admin.conf"))
    yield ControlPlane(run.config, store, f"127.0.0.1:{port}", admin)
    running.shutdown()
    running.server_close()
