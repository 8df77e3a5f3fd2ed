"""
Several control planes: kubeadm's answers as a real 1.36.3 gave them, over real etcd on loopback.

Each node is a directory; its kubelet is the test's, its API server a thread of this process.
"""

from __future__ import annotations

import base64
import contextlib
import difflib
import random
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from lab import kubernetes
from lab.waiting import until
from standin.node import (
    addons,
    agent,
    controllers,
    kubeconfig,
    manifests,
    node,
    pki,
    server,
    sharing,
)
from standin.node.client import ApiError, Client, Unreachable
from standin.node.common import Obj
from standin.node.store import Store
from tests.standin.nodes import Nodes
from tests.standin.recordings import recorded

KEY = "5f1c0e1d2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5"
NODES = ("node1", "node2", "node3")
SECRET = f"{addons.SECRETS}/kubeadm-certs"
MAPS = "/api/v1/namespaces/default/configmaps"
INIT = """
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
certificateKey: "{key}"
bootstrapTokens: [{{token: abcdef.0123456789abcdef}}]
localAPIEndpoint: {{advertiseAddress: {address}}}
nodeRegistration: {{name: node1}}
timeouts: {{kubernetesAPICall: 5m}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.3
encryptionAlgorithm: ECDSA-P256
controlPlaneEndpoint: kubernetes-api:6443
networking: {{podSubnet: 10.244.0.0/16}}
apiServer: {{certSANs: [kubernetes-api, {virtual}]}}
"""
JOIN = """
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken:
    apiServerEndpoint: kubernetes-api:6443
    token: abcdef.0123456789abcdef
    caCertHashes: ["{digest}"]
nodeRegistration: {{name: {name}}}
timeouts: {{discovery: 5m, kubernetesAPICall: 5m, etcdAPICall: {etcd}, tlsBootstrap: {own}}}
controlPlane:
  certificateKey: {key}
  localAPIEndpoint: {{advertiseAddress: {address}}}
"""


def ordered(text: str) -> str:
    """Return an answer with the certificates in one order: kubeadm's is another each time."""
    groups = re.split(r"(?m)((?:^\[certs\] (?!Using|Valid).*\n)+)", text)
    return "".join(
        "\n".join(sorted(one.splitlines())) + "\n" if one.startswith("[certs]") else one
        for one in groups
    )


ANSWERS = [(name, ordered(f"{one}\n"), status) for name, one, status in recorded("control-planes")]


def wait_until(what: Callable[[], Any]) -> Any:
    """Return what is true in the end; what the API or etcd refuses until then is none."""

    def answer() -> Any:
        with contextlib.suppress(ApiError, Unreachable):
            return what()

    found = until(answer, pause=0.1)
    assert found
    return found


def differs(found: tuple[str, int], name: str) -> list[str]:
    """Return the lines in which an answer is not the recorded one, and another status."""
    (wanted,) = ((answer, status) for one, answer, status in ANSWERS if one == name)
    # What the API server of the node says comes in between: it is a thread of this process.
    said = re.sub(r"(?m)^etcd: .*\n", "", found[0])
    both = (re.sub(r"\bnode\d\b", "NODE", one).splitlines() for one in (wanted[0], said))
    lines = difflib.ndiff(next(both), next(both))
    diff = [one for one in lines if one[0] in "+-"]
    return diff + ([] if found[1] == wanted[1] else [f"status {found[1]}"])


class Planes(Nodes):
    """Three nodes; the endpoint is a name that leads to the holder."""

    def __init__(self, base: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(base, patch, *NODES)
        self.program = kubernetes.program("etcd-server", "etcd")
        network = f"127.{random.randrange(1, 250)}.{random.randrange(250)}"
        self.virtual = f"{network}.10"
        self.addresses = {name: f"{network}.{n}" for n, name in enumerate(NODES, 11)}
        self.holder = "node1"
        self.said = self.second = ("", 0)  # of init, and of the second node's join
        self.runs = dict.fromkeys(NODES, 0)
        self.etcds: dict[str, subprocess.Popen[bytes]] = {}
        self.servers: dict[str, server.Server] = {}
        self.stores: dict[str, Store] = {}
        patch.setattr(controllers, "LIVENESS", 9999.0)  # then it ends this process
        patch.setattr(controllers, "TAKEOVER", 3.0)
        patch.setattr(controllers, "RENEWAL", 0.5)
        resolve = socket.getaddrinfo

        def lookup(host: Any, *arguments: Any, **more: Any) -> Any:
            own = self.addresses[self.holder] if host == "kubernetes-api" else host
            return resolve(own, *arguments, **more)

        patch.setattr(socket, "getaddrinfo", lookup)

    def be_on(self, name: str, starts: bool = True) -> None:
        """Be on a node; starts: whether its kubelet can run."""

        def start() -> None:
            if starts:
                threading.Thread(target=self.kubelet, args=(name,), daemon=True).start()

        self.on(name, start, lambda: self.stop(name))

    def kubeadm(self, *arguments: str) -> tuple[str, int]:
        """Return what kubeadm prints, without what may differ, and its status."""
        said, status = super().kubeadm(*arguments)
        return ordered(f"{said}\n"), status

    def upload(self) -> None:
        """Have the first control plane upload the certificates."""
        self.be_on("node1")
        file = f"--config={self.base}/kubeadm.yaml"
        said, status = self.kubeadm("init", "phase", "upload-certs", "--upload-certs", file)
        assert status == 0, said

    def join(
        self,
        name: str,
        key: str = f'"{KEY}"',
        ignore: str = "all",
        etcd: str = "5m",
        own: str = "5m",
    ) -> tuple[str, int]:
        """Have a node join as a control plane; etcd, own: limits for its etcd and its kubelet."""
        ca = (self.base / "node1/etc/kubernetes/pki/ca.crt").read_bytes()
        digest = pki.public_key_hash(x509.load_pem_x509_certificate(ca))
        values = {"key": key, "name": name, "digest": digest, "etcd": etcd, "own": own}
        file = self.base / "join.yaml"
        file.write_text(JOIN.format(**values, address=self.addresses[name]))
        return self.kubeadm("join", "--config", str(file), f"--ignore-preflight-errors={ignore}")

    def kubelet(self, name: str) -> None:
        """Run the static Pods and register the node, as its kubelet does at its start."""
        wait_until((self.base / name / "etc/kubernetes/manifests/etcd.yaml").exists)
        if not self.start(name):
            return
        path, boot = kubeconfig.KUBELET, "/etc/kubernetes/bootstrap-kubelet.conf"
        if kubeconfig.certificate(path) is None:
            agent._bootstrap(name, path, kubeconfig.load(boot))
        client, state = Client.of(kubeconfig.load(path)), node.State(version="containerd://1.7.24")
        made = client.get(f"/api/v1/nodes/{name}")
        made = made or client.request("POST", "/api/v1/nodes", node.new_node(name))
        status = node.status({}, name, self.addresses[name], state, is_flannel_up=True)
        client.merge(f"/api/v1/nodes/{name}/status", {"status": status})
        agent.mirror(client, made)

    def start(self, name: str) -> bool:
        """Start a node's etcd, then its API server once etcd answers, unless it was stopped."""
        own, folder = self.addresses[name], self.base / name
        command = manifests.read("etcd")["spec"]["containers"][0]["command"][1:]
        flags = [one.replace("=/", f"={folder}/") for one in command]
        # One machine stands for all nodes: what each has of its own is at its own address.
        flags = [one.replace("https://127.0.0.1:2379,", "") for one in flags]
        flags = [one.replace("127.0.0.1:", f"{own}:") for one in flags]
        with (self.base / f"{name}-etcd.log").open("ab") as log:
            self.etcds[name] = subprocess.Popen(
                [str(self.program), *flags],
                stderr=log,
                env={
                    "ETCD_UNSAFE_NO_FSYNC": "true",
                    "ETCD_HEARTBEAT_INTERVAL": "300",
                    "ETCD_ELECTION_TIMEOUT": "3000",
                },
            )
        flags_of_api, manager = (
            manifests.flags(f"kube-{one}") for one in ("apiserver", "controller-manager")
        )
        pki_folder = folder / "etc/kubernetes/pki"
        names = {"certificate": "crt", "key": "key"}
        user = {}
        for one, end in names.items():
            raw = (pki_folder / f"apiserver-etcd-client.{end}").read_bytes()
            user[f"client-{one}-data"] = base64.b64encode(raw).decode()
        authority = (pki_folder / "etcd/ca.crt").read_bytes()
        self.runs[name] += 1
        run, self.of_etcd = self.runs[name], (authority, user)
        store = Store(lambda: Client(f"https://{own}:2379", authority, user))
        if run != self.runs[name]:
            return False
        running = server.serve(store, own, 6443, flags_of_api)
        self.stores[name], self.servers[name] = store, running
        threading.Thread(target=running.serve_forever, daemon=True).start()
        controllers.bootstrap(store, flags_of_api)
        manager |= {"cluster-signing-cert-file": "/signing/ca.crt"}
        arguments = (store, manager, name, own)
        threading.Thread(target=controllers.run, args=arguments, daemon=True).start()
        return True

    def stop(self, name: str) -> None:
        """End a node's processes at once."""
        self.runs[name] += 1
        if process := self.etcds.pop(name, None):
            process.kill()
            process.wait()
        if running := self.servers.pop(name, None):
            running.shutdown()
            running.server_close()

    def client(self, name: str) -> Client:
        """Return the administrator's client of a node's own API server."""
        content = yaml.safe_load((self.base / "node1/etc/kubernetes/admin.conf").read_text())
        content["clusters"][0]["cluster"]["server"] = f"https://{self.addresses[name]}:6443"
        return Client.of(content)

    def kubectl(self, name: str, *arguments: str) -> str:
        """Return what kubectl says on stderr, asking a node's own API server."""
        config = self.base / "node1/etc/kubernetes/admin.conf"
        command = [f"{kubernetes.kubectl_folder()}/kubectl", f"--kubeconfig={config}"]
        command += [f"--server=https://{self.addresses[name]}:6443", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stderr

    def etcd(self, what: str, **body: object) -> list[Obj]:
        """Ask the first node's etcd of the members, or change them."""
        client = Client(f"https://{self.addresses['node1']}:2379", *self.of_etcd)
        found: list[Obj] = client.request("POST", f"/v3/cluster/member/{what}", body)["members"]
        return found

    def members(self) -> set[tuple[str, str, bool]]:
        """Return etcd's members: name, address, whether it learns."""
        return {
            (one.get("name", ""), one["peerURLs"][0][8:-5], one.get("isLearner", False))
            for one in self.etcd("list")
        }

    def voters(self, *names: str) -> set[tuple[str, str, bool]]:
        """Return the members that there are to be."""
        return {(name, self.addresses[name], False) for name in names}


@pytest.fixture(scope="module")
def planes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planes]:
    """One control plane, made with its certificates uploaded, and two blank nodes."""
    with pytest.MonkeyPatch.context() as patch:
        made = Planes(tmp_path_factory.mktemp("planes"), patch)
        values = {"key": KEY, "address": made.addresses["node1"], "virtual": made.virtual}
        (made.base / "kubeadm.yaml").write_text(INIT.format(**values))
        made.be_on("node1")
        file = str(made.base / "kubeadm.yaml")
        made.said = made.kubeadm(
            "init", "--config", file, "--upload-certs", "--ignore-preflight-errors=all"
        )
        yield made
        for name in NODES:
            made.stop(name)


@pytest.fixture(scope="module")
def two(planes: Planes) -> Planes:
    """The same, after node2 has joined."""
    planes.upload()
    planes.be_on("node2")
    planes.second = planes.join("node2")
    return planes


def test_init_uploads_the_certificates_as_recorded(planes: Planes) -> None:
    assert differs(planes.said, "init --upload-certs") == []


def test_the_secret_is_encrypted_and_a_token_of_two_hours_owns_it(planes: Planes) -> None:
    client = planes.client("node1")
    secret = client.get(SECRET)
    (owner,) = secret["metadata"]["ownerReferences"]
    token = client.get(f"{addons.SECRETS}/{owner['name']}")
    assert token["metadata"]["uid"] == owner["uid"]
    assert addons.secret_text(token, "usage-bootstrap-authentication") == ""
    assert addons.secret_text(token, "description").startswith("Proxy for managing TTL")
    assert set(secret["data"]) == {
        "ca.crt", "ca.key", "etcd-ca.crt", "etcd-ca.key", "front-proxy-ca.crt",
        "front-proxy-ca.key", "sa.key", "sa.pub",
    }  # fmt: skip
    assert b"PRIVATE KEY" not in base64.b64decode(secret["data"]["ca.key"])
    soon = base64.b64encode(b"2026-01-01T00:00:00Z").decode()
    client.merge(f"{addons.SECRETS}/{owner['name']}", {"data": {"expiration": soon}})
    wait_until(lambda: client.get(SECRET) is None)


def test_keys_that_are_none_and_a_missing_secret_are_refused_as_recorded(planes: Planes) -> None:
    planes.be_on("node2")
    before = {one for one in (planes.base / "node2").rglob("*") if one.is_file()}
    for number in ("1" * 64, "12e34", "0912"):
        assert differs(planes.join("node2", number), "join: a numeric key") == []
    assert differs(planes.join("node2", "nonsense"), "join: nonsense") == []
    assert "invalid certificate key size 1" in planes.join("node2", '"abc"')[0]
    client = planes.client("node1")
    if client.get(SECRET):
        client.request("DELETE", SECRET)
    assert differs(planes.join("node2"), "join: no secret") == []
    assert {one for one in (planes.base / "node2").rglob("*") if one.is_file()} == before


def test_the_certificates_are_uploaded_again_as_recorded(planes: Planes) -> None:
    planes.be_on("node1")
    file = str(planes.base / "kubeadm.yaml")
    for name in ("init phase upload-certs", "init phase upload-certs --upload-certs"):
        assert differs(planes.kubeadm(*name.split(), "--config", file), name) == []
    planes.be_on("node2")
    assert differs(planes.join("node2", f'"{sharing.new_key()}"'), "join: another key") == []


def test_a_second_control_plane_joins_as_recorded(two: Planes) -> None:
    assert differs(two.second, "join") == []
    assert two.members() == two.voters("node1", "node2")
    folder, own = two.base / "node2/etc/kubernetes", two.addresses["node2"]
    first = two.addresses["node1"]
    etcd = (folder / "manifests/etcd.yaml").read_text()
    listed = {f"node1=https://{first}:2380", f"node2=https://{own}:2380"}  # in the IDs' order
    assert set(re.findall(r"--initial-cluster=(.*)", etcd)[0].split(",")) == listed
    assert "--initial-cluster-state=existing\n" in etcd
    files = sorted(one.name for one in folder.glob("*.conf"))
    assert files == ["admin.conf", "controller-manager.conf", "kubelet.conf", "scheduler.conf"]
    for file in files:
        content = yaml.safe_load((folder / file).read_text())
        wanted = "kubernetes-api" if file == "admin.conf" else own
        assert content["clusters"][0]["cluster"]["server"] == f"https://{wanted}:6443"
    for file in ("ca.key", "sa.key", "etcd/ca.key", "front-proxy-ca.key"):
        copy = folder / "pki" / file
        assert copy.read_bytes() == (two.base / "node1/etc/kubernetes/pki" / file).read_bytes()
        assert copy.stat().st_mode & 0o777 == 0o600
    joined = two.client("node1").get("/api/v1/nodes/node2")
    assert "node-role.kubernetes.io/control-plane" in joined["metadata"]["labels"]
    assert joined["spec"]["taints"][0]["key"] == "node-role.kubernetes.io/control-plane"


def test_the_api_servers_show_the_same_objects_and_the_service_leads_to_both(two: Planes) -> None:
    first, second = two.client("node1"), two.client("node2")
    both = sorted(two.addresses[name] for name in ("node1", "node2"))

    def addresses() -> list[str]:
        found = second.get("/api/v1/namespaces/default/endpoints/kubernetes")
        return [one["ip"] for one in found["subsets"][0]["addresses"]]

    wait_until(lambda: addresses() == both)
    about: Obj = {"apiVersion": "v1", "kind": "ConfigMap"}
    for n in range(5):
        first.request("POST", MAPS, about | {"metadata": {"name": f"one{n}"}, "data": {"a": "b"}})
        wait_until(partial(second.get, f"{MAPS}/one{n}"))

    def write(client: Client, name: str) -> None:
        for n in range(30):
            change = {"data": {f"{name}{n}": "x"}}
            wait_until(partial(client.merge, f"{MAPS}/one0", change))  # again after a conflict

    threads = [threading.Thread(target=write, args=(two.client(name), name)) for name in NODES[:2]]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    wait_until(lambda: len(second.get(f"{MAPS}/one0")["data"]) == 61)


def test_upgrade_node_on_a_control_plane_changes_its_pods(two: Planes) -> None:
    two.be_on("node2")
    client, over = two.client("node2"), threading.Event()

    def mirror_pods() -> None:
        while not over.wait(0.1):
            agent.mirror(client, client.get("/api/v1/nodes/node2"))

    thread = threading.Thread(target=mirror_pods)
    thread.start()
    said, status = two.kubeadm("upgrade", "node", "--ignore-preflight-errors=all")
    over.set()
    thread.join()
    assert status == 0, said
    assert 'control plane instance to version "VERSION"...' in said
    assert "Current and new manifests of kube-apiserver are equal, skipping upgrade" in said
    # kubeadm makes etcd's manifest as for a first one; etcd reads its members from its data.
    assert '[upgrade/staticpods] Component "etcd" upgraded successfully!' in said
    assert said.strip().endswith("Applied essential addon: kube-proxy")
    assert two.kubeadm("certs", "renew", "all")[0].count("MISSING! certificate embedded") == 1


def test_without_a_quorum_nothing_is_answered(two: Planes) -> None:
    """One of two is away: what was known is not taken for what is."""
    two.stop("node1")
    livez = Client(f"https://{two.addresses['node2']}:6443")

    def problem() -> str:
        try:
            livez.request("GET", "/livez")
        except ApiError as error:
            return f"{error.status} {error}"
        return ""

    wait_until(lambda: two.stores["node2"].problem)
    assert problem().startswith("500 [+]ping ok\n[-]etcd failed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "PATIENCE", 0.1)
        said = two.kubectl("node2", "get", "nodes")
    assert said == (
        "Error from server (Timeout): the server was unable to return a response in the time "
        "allotted, but may still be processing the request (get nodes)\n"
    )
    two.be_on("node1")
    two.start("node1")
    wait_until(lambda: two.client("node1").get("/api/v1/nodes"))
    wait_until(lambda: not problem())


def test_the_worst_trap_is_there(two: Planes) -> None:
    """After a cut in a join, a reset leaves the member, which the next join takes for its own."""
    two.upload()
    # etcd takes no member until all have been connected for five seconds.
    spare = [f"https://{two.virtual}:2380"]
    made = wait_until(partial(two.etcd, "add", peerURLs=spare, isLearner=True))
    two.etcd("remove", ID=next(one["ID"] for one in made if one["peerURLs"] == spare))
    two.be_on("node3", starts=False)
    assert differs(two.join("node3", etcd="2s"), "join: a kubelet that can not run") == []
    assert ("", two.addresses["node3"], True) in two.members()
    # What the kubelet and the power cut leave, and that it starts again: a learner for ever.
    folder, learner = two.base / "node3/etc/kubernetes", ("node3", two.addresses["node3"], True)
    (folder / "kubelet.conf").touch()
    assert (folder / "bootstrap-kubelet.conf").exists()
    threading.Thread(target=two.kubelet, args=("node3",), daemon=True).start()
    wait_until(lambda: learner in two.members())
    assert two.client("node1").get("/api/v1/nodes/node3") is None
    again, status = two.join("node3", ignore="Swap,SystemVerification")
    missing = [one for one in differs((again, status), "join: half joined") if one[0] != "+"]
    assert missing == ["- \t[ERROR Port-10250]: Port 10250 is in use"]
    assert differs(two.kubeadm("reset", "-f"), "reset: half joined") == []
    assert learner in two.members(), "reset left the member, and said nothing"
    two.be_on("node3")
    said, status = two.join("node3", own="2s")
    assert status == 1, said
    assert two.members() == two.voters(*NODES), "the ghost was promoted"
    log = two.base / "node3-etcd.log"
    wait_until(lambda: "is out of range [lastIndex(0)]. Was the raft log" in log.read_text())
    assert two.kubeadm("reset", "-f")[1] == 0
    assert two.members() == two.voters(*NODES)


@pytest.fixture(scope="module")
def three(two: Planes) -> Planes:
    """Three, once the member that a reset may have left is removed."""
    address = two.addresses["node3"]
    for one in two.etcd("list"):
        if one["peerURLs"] == [f"https://{address}:2380"]:
            two.etcd("remove", ID=one["ID"])
    two.upload()
    two.be_on("node3")
    said, status = two.join("node3")
    assert status == 0, said
    assert two.members() == two.voters(*NODES)
    return two


def test_the_controllers_of_a_lost_control_plane_are_taken_over(three: Planes) -> None:
    lease = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager"

    def holder() -> str:
        found = three.client("node3").get(lease)["spec"]["holderIdentity"]
        return str(found.partition("_")[0])

    first = holder()
    three.stop(first)
    three.holder = next(name for name in NODES if name != first)
    wait_until(lambda: holder() not in ("", first) if first != "node3" else True)
    three.be_on(first)
    three.start(first)
    wait_until(lambda: three.client(first).get("/api/v1/nodes"))
    three.holder = "node1"


def test_reset_takes_a_registered_control_plane_out(three: Planes) -> None:
    three.be_on("node3")
    assert differs(three.kubeadm("reset", "-f"), "reset") == []
    assert three.members() == three.voters("node1", "node2")
    assert three.client("node1").get("/api/v1/nodes/node3") is not None
