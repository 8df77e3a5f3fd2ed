"""The certificate of an API server gets further names, and is never half replaced."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

from facts.api_certificate import STAGED, ApiCertificateState
from facts.certificates import PKI
from facts.kubectl import ClusterObjects
from formats.kubeadm.config import Registration
from messages import kubernetes as messages
from operations.base import HostFailure
from operations.kubeadm import certificate_names
from remote.failures import RemoteFailure
from tests.fake_node import Host
from tests.shell import shell

STORED = "kind: ClusterConfiguration\nkubernetesVersion: v1.36.3\napiServer: {certSANs: [api]}\n"
OWN = "kind: InitConfiguration\n---\n" + STORED
NAMES = ["api", "192.168.2.10"]


def done(monkeypatch: pytest.MonkeyPatch, observed: ApiCertificateState) -> list[Any]:
    monkeypatch.setattr(certificate_names, "read", lambda fact: observed)
    monkeypatch.setattr(certificate_names, "plan_change", lambda text: None)
    monkeypatch.setattr(certificate_names, "names", lambda pem: set(pem.split()))
    operation: Any = certificate_names.certified
    inner = getattr(operation._inner, "__wrapped__", operation._inner)
    state = FakeState()
    with ctx_state.use(state), ctx_host.use(create_host(state)):
        given = inner("node1", "192.168.2.11", "api", ["192.168.2.10"])
        return [(command.function.__name__, command.args) for command in given]


def test_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = "api node1 192.168.2.11 192.168.2.10 former"
    assert done(monkeypatch, ApiCertificateState(whole, False, OWN)) == []
    assert done(monkeypatch, ApiCertificateState("", False, "")) == []
    assert done(monkeypatch, ApiCertificateState("", True, OWN)) == [("_take", ())]
    [(name, arguments)] = done(monkeypatch, ApiCertificateState("api node1", False, OWN))
    assert name == "_certify"
    assert arguments[-1] == ["192.168.2.10", "192.168.2.11"]


class Node(Host):
    """A control plane that notes what is written and run on it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.ran: list[tuple[str, str]] = []
        self.broken = ""
        self.objects: Any = ClusterObjects(True, [_config_map(STORED)])
        self.node.answer = self.run
        self.node.fact = lambda fact, words: self.objects
        write = lambda command, seconds=60: self.note("file", command.connector_arguments["_stdin"])  # noqa: E731
        self.node.execute = write  # type: ignore[method-assign]

    def note(self, what: str, text: str | None) -> list[str]:
        self.ran.append((what, text or ""))
        if what == self.broken:
            raise RemoteFailure("the disk is full.")
        return []

    def run(self, script: str, *words: str, stdin: str | None = None) -> list[str]:
        known = {
            certificate_names._UPLOAD: "upload",
            certificate_names._MAKE: "make",
            certificate_names._TAKE: "take",
        }
        return self.note(known[script], stdin)


def _config_map(text: str) -> dict[str, Any]:
    return {
        "kind": "ConfigMap",
        "metadata": {"namespace": "kube-system", "name": "kubeadm-config"},
        "data": {"ClusterConfiguration": text},
    }


def certify(node: Node, own: str = OWN) -> None:
    registration = Registration("node1", "192.168.2.11")
    state: Any = SimpleNamespace()
    host: Any = node
    assert certificate_names._certify(state, host, registration, NAMES, own, ["192.168.2.10"])


def test_the_configuration_gets_the_names_before_the_certificate() -> None:
    node = Node()
    certify(node)
    assert [what for what, _ in node.ran] == ["file", "upload", "make", "take"]
    for what, text in node.ran[:3]:
        init, cluster = yaml.safe_load_all(text)
        assert cluster["apiServer"]["certSANs"] == NAMES, what
        assert init["kind"] == "InitConfiguration"
        assert cluster.get("certificatesDir") == (f"{STAGED}.new" if what == "make" else None)
    # A control plane that has joined may have no file of kubeadm.
    node = Node()
    certify(node, "")
    assert [what for what, _ in node.ran] == ["upload", "make", "take"]


@pytest.mark.parametrize("broken", ["file", "upload", "make"])
def test_nothing_is_taken_of_what_failed(broken: str) -> None:
    node = Node()
    node.broken = broken
    with pytest.raises(HostFailure) as refused:
        certify(node)
    values = {"names": "192.168.2.10", "reason": "the disk is full"}
    assert refused.value.args[0] == messages.CERTIFICATE_NAMES(**values)
    assert node.ran[-1][0] == broken


def test_without_an_api_server_nothing_is_written() -> None:
    node = Node()
    node.objects = ClusterObjects(False, [], "no route to host")
    with pytest.raises(HostFailure) as refused:
        certify(node)
    assert refused.value.args[0] == messages.API_NOT_ANSWERING(reason="no route to host")
    assert node.ran == []


def files(folder: Path) -> dict[str, str]:
    found = folder.rglob("*")
    return {str(path.relative_to(folder)): path.read_text() for path in found if path.is_file()}


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    folder = tmp_path / "pki"
    folder.mkdir()
    for name in ("ca.crt", "ca.key", "apiserver.crt", "apiserver.key"):
        (folder / name).write_text("old")
    return folder


def test_certificate_and_key_are_whole_before_they_are_put_into_place(
    pki: Path, tmp_path: Path
) -> None:
    make = certificate_names._MAKE.replace(PKI, str(pki))
    take = certificate_names._TAKE.replace(PKI, str(pki))
    before, new = files(pki), f"{pki}/bramble-apiserver.new"
    failing = f"echo new > {new}/apiserver.key; echo 'error: full' >&2; exit 1"
    failed = shell(make, new, tools=tmp_path, kubeadm=failing)
    assert (failed.returncode, failed.stderr) == (1, "error: full\n")
    assert not (pki / "bramble-apiserver").exists()
    kubeadm = f"for f in key crt; do printf new > {new}/apiserver.$f; done"
    made = shell(make, new, tools=tmp_path, kubeadm=kubeadm)
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    staged = {f"bramble-apiserver/apiserver.{end}": "new" for end in ("crt", "key")}
    assert files(pki) == before | staged
    # The power goes between the two, and it is done once more.
    (pki / "bramble-apiserver/apiserver.key").rename(pki / "apiserver.key")
    for _ in range(2):
        assert shell(take, tools=tmp_path).returncode == 0
        assert files(pki) == before | {"apiserver.crt": "new", "apiserver.key": "new"}
