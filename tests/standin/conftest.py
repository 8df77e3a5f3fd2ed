"""What the stand-in's tests share: a root of their own, and a control plane on loopback in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from standin.node import addons, config, controllers, init, kubeconfig, manifests, server
from standin.node.client import Client
from standin.node.store import Store
from tests.standin.etcd import Etcd

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
    etcd: Etcd
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
    """Certificates, manifests and objects as init makes them; the process alone is the test's."""
    file = root / "kubeadm.yaml"
    file.write_text(CLUSTER.format(port=1))
    cluster = config.load_init(str(file))
    for phase in ("certs", "etcd", "control-plane"):
        init.PHASES[phase](cluster)
    etcd = Etcd()
    store = etcd.store()
    flags = manifests.flags("kube-apiserver")
    running = server.serve(store, "127.0.0.1", 0, flags)
    port = int(running.server_address[1])
    cluster.init["localAPIEndpoint"]["bindPort"] = port
    init.PHASES["kubeconfig"](cluster)
    controllers.bootstrap(store, flags)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    addons.apply(Client.of(kubeconfig.load("/etc/kubernetes/super-admin.conf")), "admin")
    for phase in ("upload-config/kubeadm", "upload-config/kubelet", "bootstrap-token"):
        init.PHASES[phase](cluster)
    controllers.tokens(store)
    admin = Client.of(kubeconfig.load(kubeconfig.ADMIN))
    yield ControlPlane(cluster, etcd, store, f"127.0.0.1:{port}", admin)
    running.shutdown()
    running.server_close()
