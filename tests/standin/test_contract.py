"""
The contract: commands that a real Kubernetes 1.36 has answered, played to the stand-in.

The answers are in recorded/; times, hashes, tokens, names and addresses are taken out of both.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from lab import kubernetes
from standin.node import (
    addons,
    agent,
    containerd,
    controllers,
    flannel,
    images,
    kubeconfig,
    manifests,
    node,
    pki,
    pods,
    reset,
    server,
)
from standin.node.client import ApiError, Client, Unreachable
from standin.node.common import Obj
from tests.standin.etcd import Etcd
from tests.standin.nodes import Nodes
from tests.standin.recordings import normal, recorded

REPOSITORY = Path(__file__).parents[2]
INIT = """
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: 127.0.0.1, bindPort: {port}}}
nodeRegistration: {{name: head}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.3
encryptionAlgorithm: ECDSA-P256
controlPlaneEndpoint: 127.0.0.1:{port}
networking: {{podSubnet: 10.244.0.0/16}}
apiServer: {{certSANs: [10.98.0.10]}}
"""


RULES = ("kubelet", "proxy", "has_chain")


class Cluster(Nodes):
    """A control plane and a worker."""

    def __init__(self, base: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(base, patch, "head", "w1")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])

    def kubectl(self, *arguments: str, config: str = "admin.conf") -> tuple[str, int]:
        """Return what kubectl prints, without what may differ, and its status."""
        name = "w1" if config == "kubelet.conf" else "head"
        text = (self.base / name / "etc/kubernetes" / config).read_text()
        own = self.base / config
        own.write_text(text.replace("/var/lib/kubelet", f"{self.base}/{name}/var/lib/kubelet"))
        command = [f"{kubernetes.kubectl_folder()}/kubectl", f"--kubeconfig={own}"]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True)
        return normal(f"{done.stdout}\n{done.stderr}"), done.returncode

    def control_plane(self) -> None:
        """Start what the kubelet starts for the static Pods, and register the node."""
        flags, manager = (
            manifests.flags(f"kube-{one}") for one in ("apiserver", "controller-manager")
        )
        store = Etcd().store()
        (self.base / "head/var/lib/etcd/member").mkdir()
        controllers.bootstrap(store, flags)
        running = server.serve(store, "127.0.0.1", self.port, flags)
        threading.Thread(target=running.serve_forever, daemon=True).start()
        manager |= {"cluster-signing-cert-file": "/signing/ca.crt"}
        arguments = (store, manager, "head", "127.0.0.1")
        threading.Thread(target=controllers.run, args=arguments, daemon=True).start()
        self.register("head", kubeconfig.load("/etc/kubernetes/kubelet.conf"))

    def worker(self) -> None:
        """Do the kubelet's TLS bootstrapping, and register the node."""
        path = "/etc/kubernetes/kubelet.conf"
        boot = kubeconfig.load("/etc/kubernetes/bootstrap-kubelet.conf")
        agent._bootstrap("w1", path, boot)
        self.register("w1", kubeconfig.load(path))

    def run_pods(self, name: str, address: str, over: threading.Event) -> threading.Thread:
        """Run the pods of a node, until it is over, as its kubelet does."""
        self.on(name)
        client = Client.of(kubeconfig.load("/etc/kubernetes/kubelet.conf"))
        runtime = containerd.Runtime("")
        of_node = pods.Pods(name, address, runtime)
        images_here = {"docker.io/library/busybox:1.37": 1}

        def forever() -> None:
            while not over.wait(0.2):
                # Both nodes have one root here: one makes a folder that the other removes.
                with contextlib.suppress(ApiError, Unreachable, KeyError, FileExistsError):
                    state = node.State(images=images_here)
                    of_node.sync(client, client.get(f"/api/v1/nodes/{name}"), state)

        thread = threading.Thread(target=forever, daemon=True)
        thread.start()
        return thread

    def register(self, name: str, config: Obj) -> None:
        """Make the Node as its kubelet does, Ready."""
        client, state = Client.of(config), node.State(version="containerd://1.7.24")
        made = client.request("POST", "/api/v1/nodes", node.new_node(name))
        status = node.status({}, name, "10.98.0.10", state, is_flannel_up=True)
        client.merge(f"/api/v1/nodes/{made['metadata']['name']}/status", {"status": status})


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two blank nodes."""
    with pytest.MonkeyPatch.context() as patch:
        yield Cluster(tmp_path_factory.mktemp("contract"), patch)


@pytest.fixture(scope="module")
def initialised(cluster: Cluster) -> tuple[Cluster, tuple[str, int]]:
    """The same after `kubeadm init`, and what that said."""
    (cluster.base / "kubeadm.yaml").write_text(INIT.format(port=cluster.port))
    cluster.on("head", cluster.control_plane)
    config = str(cluster.base / "kubeadm.yaml")
    said = cluster.kubeadm("init", "--config", config, "--ignore-preflight-errors=all")
    return cluster, said


@pytest.fixture(scope="module")
def head(initialised: tuple[Cluster, tuple[str, int]]) -> Cluster:
    assert initialised[1][1] == 0, initialised[1][0]
    return initialised[0]


def test_init_says_and_does_its_phases_in_the_recorded_order(
    initialised: tuple[Cluster, tuple[str, int]],
) -> None:
    ((_, answer, status),) = recorded("init")
    assert initialised[1] == (answer, status)


@pytest.mark.parametrize("name", ["images", "certs"])
def test_kubeadm_on_the_control_plane_answers_as_recorded(head: Cluster, name: str) -> None:
    head.on("head")
    for command, answer, status in recorded(name):
        assert head.kubeadm(*command.split()) == (answer, status), command


def test_tokens_are_made_and_deleted_as_recorded(head: Cluster) -> None:
    head.on("head")
    for command, answer, status in recorded("token"):
        if command == "token delete fedcba":
            never = head.kubeadm("token", "create", "fedcba.0123456789abcdef", "--ttl", "0")
            assert never == ("TOKEN", 0)
        assert head.kubeadm(*command.split()) == (answer, status), command


def test_kubeadm_on_a_worker_answers_as_recorded(head: Cluster) -> None:
    head.on("w1")
    for command, answer, status in recorded("worker"):
        assert head.kubeadm(*command.split()) == (answer, status), command


@pytest.mark.parametrize("case", [command for command, _, _ in recorded("join")])
def test_join_answers_as_recorded(head: Cluster, case: str) -> None:
    answers = {command: (answer, status) for command, answer, status in recorded("join")}
    head.on("head")
    client = Client.of(kubeconfig.load(kubeconfig.ADMIN))
    token = "jjjjjj.0123456789abcdef"
    if client.get(f"{addons.SECRETS}/bootstrap-token-jjjjjj") is None:
        assert head.kubeadm("token", "create", token) == ("TOKEN", 0)
    right = pki.public_key_hash(pki.load_pair("/etc/kubernetes/pki", "ca").certificate)
    info = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
    while "jws-kubeconfig-jjjjjj" not in client.request("GET", info)["data"]:
        pass
    discovery = {
        "malformed hash": (token, "sha256:1234", head.port),
        "wrong hash": (token, f"sha256:{0:064}", head.port),
        "unknown token": ("zzzzzz.0123456789abcdef", right, head.port),
        "wrong secret": ("jjjjjj.ffffffffffffffff", right, head.port),
        "closed port": (token, right, 1024),
        "success": (token, right, head.port),
    }
    used, pin, port = discovery[case]
    given = {"apiServerEndpoint": f"127.0.0.1:{port}", "token": used, "caCertHashes": [pin]}
    document = {
        "kind": "JoinConfiguration",
        "discovery": {"bootstrapToken": given},
        "nodeRegistration": {"name": "w1"},
        "timeouts": {"discovery": "1s"},
    }
    (head.base / "join.yaml").write_text(json.dumps(document))
    kubelets: list[threading.Thread] = []

    def start_kubelet() -> None:
        kubelets.append(threading.Thread(target=head.worker, daemon=True))
        kubelets[-1].start()

    head.on("w1", start_kubelet)
    config = str(head.base / "join.yaml")
    found = head.kubeadm("join", "--config", config, "--ignore-preflight-errors=all")
    for each in kubelets:
        each.join()  # it registers the node, and reads where its files are
    assert found == answers[case]


@pytest.fixture(scope="module")
def joined(head: Cluster) -> Cluster:
    """The cluster with its worker."""
    if not (head.base / "w1/etc/kubernetes/kubelet.conf").exists():
        test_join_answers_as_recorded(head, "success")
    return head


def test_kubectl_gets_the_recorded_answers(joined: Cluster) -> None:
    shutil.copy(REPOSITORY / "standin/kube-flannel.yml", joined.base)
    for command, answer, status in recorded("kubectl"):
        words = command.replace("kube-flannel.yml", f"{joined.base}/kube-flannel.yml").split()
        config = "admin.conf"
        if words[-1] == "--kubeconfig=kubelet.conf":
            config = words.pop().partition("=")[2]
        found = joined.kubectl(*words, config=config)
        if command == "get pods -A -o wide":  # no kubelet of the stand-in's runs here
            assert found[0].splitlines()[0] == answer.splitlines()[0]
            continue
        assert found == (answer, status), command


def test_kubectl_create_is_understood(joined: Cluster) -> None:
    """It sends protobuf: `create -f` does not."""
    joined.on("head")
    for command, said in {
        "create deployment web --image=x:1 --replicas=2 -- sleep 9": "deployment.apps/web created",
        "create namespace other": "namespace/other created",
        "create configmap one --from-literal=a=b": "configmap/one created",
        "delete deployment web": 'deployment.apps "web" deleted',
    }.items():
        assert joined.kubectl(*command.split()) == (said, 0)
    client = Client.of(kubeconfig.load(kubeconfig.ADMIN))
    assert client.get("/api/v1/namespaces/default/configmaps/one")["data"] == {"a": "b"}


BUSY = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: bb, namespace: default}
spec:
  selector: {matchLabels: {app: bb}}
  template:
    metadata: {labels: {app: bb}}
    spec: {containers: [{name: bb, image: "docker.io/library/busybox:1.37"}]}
"""


# Between lines, and between the reasons in one line of `kubectl drain`.
REASONS = re.compile(r"\n|Warning: |; (?=ignoring|deleting)|, (?=cannot)")


@pytest.fixture(scope="module")
def busy(joined: Cluster) -> Iterator[Cluster]:
    """The cluster with the pods that it was recorded with, all of them running."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(containerd.Runtime, "pull", lambda self, name: None)
        patch.setattr(pods, "rules", SimpleNamespace(**dict.fromkeys(RULES, lambda *_: True)))
        patch.setattr(flannel.Flannel, "run", lambda *_: {})
        over, addresses = threading.Event(), {"w1": "10.98.0.11", "head": "10.98.0.10"}
        threads = [joined.run_pods(name, one, over) for name, one in addresses.items()]
        (joined.base / "busy.yaml").write_text(BUSY)
        for file in (REPOSITORY / "standin/kube-flannel.yml", joined.base / "busy.yaml"):
            said, status = joined.kubectl("apply", "-f", str(file))
            assert status == 0, said
        yield joined
        over.set()
        for thread in threads:
            thread.join()


def test_cordon_drain_and_a_budget_answer_as_recorded(busy: Cluster) -> None:
    for namespace, name, count in (
        ("default", "bb", 1),
        ("kube-flannel", "kube-flannel-ds", 2),
        ("kube-system", "kube-proxy", 2),
    ):
        wait = f"wait --for=jsonpath={{.status.numberReady}}={count} daemonset/{name}"
        assert busy.kubectl(*wait.split(), "-n", namespace, "--timeout=300s")[1] == 0
    for command, answer, status in recorded("drain"):
        found, code = busy.kubectl(*command.replace("=12s", "=1s").split())
        # kubectl lists its reasons in any order, and retries repeat lines.
        said, wanted = (set(REASONS.split(one)) for one in (found, answer))
        if command.startswith("rollout"):
            said, wanted = (
                {one for one in each if "Waiting for" not in one} for each in (said, wanted)
            )
        assert (said, code) == (wanted, status), command


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of the minor before, whose packages of kubeadm are new already."""
    with pytest.MonkeyPatch.context() as patch:
        made = Cluster(tmp_path_factory.mktemp("older"), patch)
        (made.base / "kubeadm.yaml").write_text(
            INIT.format(port=made.port).replace("1.36.3", "1.35.6")
        )
        with pytest.MonkeyPatch.context() as before:
            before.setattr(images, "names", partial(images.names, minor=35))
            before.setattr(node, "VERSION", "v1.35.6+stand-in")
            made.on("head", made.control_plane)
            config = str(made.base / "kubeadm.yaml")
            said = made.kubeadm("init", "--config", config, "--ignore-preflight-errors=all")
            assert said[1] == 0, said[0]
            test_join_answers_as_recorded(made, "success")
        made.on("head")
        client, over = Client.of(kubeconfig.load(kubeconfig.ADMIN)), threading.Event()

        def mirror_pods() -> None:
            while not over.wait(0.1):
                agent.mirror(client, client.get("/api/v1/nodes/head"))

        thread = threading.Thread(target=mirror_pods, daemon=True)
        thread.start()
        yield made
        over.set()
        thread.join()


def test_upgrades_answer_as_recorded_and_change_what_they_say(older: Cluster) -> None:
    manifest = older.base / "head/etc/kubernetes/manifests/etcd.yaml"
    certificate = older.base / "head/etc/kubernetes/pki/apiserver.crt"
    before = certificate.read_text()
    assert "etcd:3.6.6-0" in manifest.read_text()
    for command, answer, status in recorded("upgrade"):
        older.on("w1" if command == "upgrade node" else "head")
        found = older.kubeadm(*command.split(), "--ignore-preflight-errors=all")
        assert found == (answer, status), command
    older.on("head")
    client = Client.of(kubeconfig.load(kubeconfig.ADMIN))
    stored = client.stored("kubeadm-config", "ClusterConfiguration")
    assert stored["kubernetesVersion"] == "v1.36.3"
    assert "etcd:3.6.8-0" in manifest.read_text()
    assert certificate.read_text() != before
    image = images.names("v1.36.3")["coredns"]
    dns = client.get(f"{addons.DEPLOYMENTS}/coredns")["spec"]["template"]["spec"]
    assert dns["containers"][0]["image"] == image


def test_reset_of_the_control_plane_says_what_was_recorded(
    head: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    head.on("head")
    monkeypatch.setattr(reset, "Members", Mock())  # of a real etcd: test_control_planes.py
    ((command, answer, status),) = recorded("reset")
    assert head.kubeadm(*command.split()) == (answer, status)
