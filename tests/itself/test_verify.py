"""What `make verify` says of control planes that do not answer, or with a wrong certificate."""

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
