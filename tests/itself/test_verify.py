"""
What `make verify` says of control planes that do not answer, or with a wrong certificate, and what
it must not pass over.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from messages import codes
from messages import verify as messages
from tests.cluster.connections import Connections
from tests.cluster.findings import Wrong
from tests.cluster.test_kubernetes import test_routes_to_pods as check_routes
from tests.cluster.test_kubernetes import test_versions as check_versions
from tests.cluster.test_operator import refused


def connections(
    answering: Sequence[str], planes: int = 3, behind: str | None = None
) -> Connections:
    """Connections to some of the control planes; with `behind` all but that one are behind it."""
    nodes = [SimpleNamespace(name=f"node{n}") for n in range(1, planes + 1)]
    cluster: Any = SimpleNamespace(
        control_plane=nodes,
        nodes=nodes,
        gateway_of=lambda node: behind if node.name != behind else None,
    )
    made = Connections(cluster)
    made.close()
    made.hosts = dict.fromkeys(answering)
    problem = Wrong(messages.GATEWAY_UNREACHABLE(gateway="node1"))
    made.problems = {node.name: problem for node in nodes if node.name not in answering}
    return made


@pytest.mark.parametrize(
    ("answering", "planes", "words"),
    [
        (("node3",), 3, "2 of 3 control planes do not answer (node1, node2), and etcd needs 2 "),
        ((), 3, "3 of 3 control planes do not answer (node1, node2, node3), and etcd needs 2 "),
        (("node1", "node2"), 5, "3 of 5 control planes do not answer (node3, node4, node5), and "),
    ],
)
def test_it_says_that_a_majority_is_away(answering: Sequence[str], planes: int, words: str) -> None:
    said = connections(answering, planes).no_majority()
    assert said
    assert said.startswith(words)
    assert codes(said) == ["KUB086"]


def test_it_does_not_say_so_of_a_minority_or_of_one_that_is_alone() -> None:
    assert connections(("node1", "node3")).no_majority() is None
    assert connections((), 1).no_majority() is None


def test_it_does_not_say_so_of_those_behind_a_gateway_that_is_away() -> None:
    assert connections((), behind="node1").no_majority() is None
    assert connections(("node1",), behind="node1").no_majority() is not None


@pytest.mark.parametrize(
    ("name", "days", "own", "code"),
    [
        ("127.0.0.1", 5, True, None),
        ("127.0.0.1", -5, True, "VER112"),
        ("127.0.0.2", 5, True, "VER113"),
        ("127.0.0.1", 5, False, "VER084"),
    ],
)
def test_it_says_why_a_certificate_of_the_api_server_is_refused(
    tmp_path: Path, name: str, days: int, own: bool, code: str | None
) -> None:
    served, authority = certificate(name, days), certificate("127.0.0.1", 5)
    (tmp_path / "served.pem").write_bytes(served)
    (tmp_path / "ca.pem").write_bytes(served if own else authority)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "served.pem")
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"https://127.0.0.1:{server.server_port}"
        try:
            requests.get(url, verify=str(tmp_path / "ca.pem"), timeout=30)
            said = None
        except requests.exceptions.SSLError as error:
            said = refused(error, url, tmp_path / "kubeconfig")
        finally:
            server.shutdown()
    assert codes(said or "") == [code] * (code is not None)


def printing(text: str) -> SimpleNamespace:
    """A node on which every command prints this."""
    return SimpleNamespace(run=lambda *_: SimpleNamespace(rc=0, stdout=text, stderr=""))


def test_a_node_without_a_network_for_its_pods_is_wrong() -> None:
    specs = {"node1": {"podCIDR": "10.244.0.0/24"}, "node2": {}}
    nodes = {name: {"spec": spec} for name, spec in specs.items()}
    kubernetes: Any = SimpleNamespace(nodes=lambda: nodes, asked="node1")
    node: Any = SimpleNamespace(name="node1")
    with pytest.raises(Wrong, match=r"node2 has no network .* \(VER114\)"):
        check_routes(node, printing(""), kubernetes)
    nodes["node2"]["spec"]["podCIDR"] = "10.244.1.0/24"
    check_routes(node, printing('[{"dst": "10.244.1.0/24"}]'), kubernetes)


@pytest.mark.parametrize(("away", "other"), [((), "node1"), (("node1",), "node2")])
def test_versions_are_compared_with_those_of_a_control_plane_that_answers(
    away: Sequence[str], other: str
) -> None:
    def packages(release: str) -> SimpleNamespace:
        names = ("kubeadm", "kubectl", "kubelet")
        return printing("".join(f"{name} {release}-1.1\n" for name in names))

    made = connections([name for name in ("node1", "node2", "node3") if name not in away])
    made.hosts = dict.fromkeys(made.hosts, packages("1.36.4"))
    made.cluster.kubernetes_version = "1.36"
    shown: list[str] = []
    node: Any = SimpleNamespace(name="node4")
    check_versions(node, made.cluster, packages("1.36.4"), made, shown.append)
    assert shown == ["1.36.4"]
    with pytest.raises(Wrong, match=rf"kubeadm is 1.36.1-1.1; it is 1.36.4-1.1 on {other}\b"):
        check_versions(node, made.cluster, packages("1.36.1"), made, shown.append)


@pytest.mark.parametrize("boots", [["", "a", "a", "", "b"], ["a", "b"]])
def test_a_node_is_back_when_it_has_booted_anew(
    monkeypatch: pytest.MonkeyPatch, boots: list[str]
) -> None:
    took, left = rebooted(monkeypatch, boots, seconds=60)
    assert isinstance(took, float)
    assert left == []


def test_a_node_whose_boot_is_not_known_is_not_rebooted(monkeypatch: pytest.MonkeyPatch) -> None:
    took, _ = rebooted(monkeypatch, [""] * 100, seconds=0)
    assert codes(str(took)) == ["VER098"]


def rebooted(
    monkeypatch: pytest.MonkeyPatch, boots: list[str], seconds: float
) -> tuple[float | Wrong, list[str]]:
    """What a reboot of a node gives that answers with these boots, and those left."""
    made, left = connections(["node1"]), [*boots]
    made.hosts["node1"] = printing("")
    monkeypatch.setattr(made, "boot", lambda _: left.pop(0))
    monkeypatch.setattr(made, "_open", lambda _: None)
    monkeypatch.setattr("tests.cluster.connections.BACK", seconds)
    monkeypatch.setattr("tests.cluster.connections.time.sleep", lambda _: None)
    return made._rebooted(made.cluster.nodes[0]), left


def certificate(name: str, days: int) -> bytes:
    """A key, and its own certificate for an address, which is valid for so many days more."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([])
    end = datetime.now(UTC) + timedelta(days=days)
    addresses = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(name))])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(end - timedelta(days=365))
        .not_valid_after(end)
        .add_extension(addresses, critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key.private_bytes(*form) + made.public_bytes(Encoding.PEM)
