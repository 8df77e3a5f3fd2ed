"""A worker that has joined already: this cluster, or another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

from messages import kubernetes as messages
from operations import kubeadm
from operations.base import HostFailure

PEMS = Path(__file__).parent.parent / "formats" / "test_certificates.py"
OURS = PEMS.read_text().split('PEM = """')[1].split('"""')[0]
OTHER = """-----BEGIN CERTIFICATE-----
MIIBgDCCASegAwIBAgIUVzkTvQUpuVOnAMKk3ViZ6mImfxAwCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKa3ViZXJuZXRlczAgFw0yNjExMjMxOTAxNDJaGA8yMTI2MTAz
MDE5MDE0MlowFTETMBEGA1UEAwwKa3ViZXJuZXRlczBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABHFSnlDHpd3+n5fPpF7yxlkV+DcOGMl0UZd0raCGQLrFDilKNE94
1R5vtdFajGlIU0szVfojpzOQnjKm1nO0yVKjUzBRMB0GA1UdDgQWBBRfBh9hd/bL
hSxldp59v6kNZnVsHzAfBgNVHSMEGDAWgBRfBh9hd/bLhSxldp59v6kNZnVsHzAP
BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIEF7spN3x9Qn0ooIgAWA
SaxUdtm1oKpc+3k08etl3SUcAiAJydRkKjQEZAKsdH3pcLEJuGsMetDQYDu6twrh
JKeTgw==
-----END CERTIFICATE-----
"""
JOINED = {"state": "joined", "ca": OURS, "server": "https://node1:6443", "files": []}


def join(monkeypatch: pytest.MonkeyPatch, authority: str) -> tuple[list[Any], str]:
    monkeypatch.setattr(kubeadm, "cluster_authority", lambda control_plane: authority)
    state = FakeState()
    host = create_host(state, facts={"kubeadm.Member": JOINED})
    operation: Any = kubeadm.join
    inner = getattr(operation._inner, "__wrapped__", operation._inner)
    with ctx_state.use(state), ctx_host.use(host):
        made = inner(node="node2", address="192.168.2.12", control_plane="node1", endpoint="node1")
        return list(made), host.noop_description


def test_a_worker_of_this_cluster_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert join(monkeypatch, OURS) == ([], "node2 has joined the cluster of node1")


@pytest.mark.parametrize("authority", [OTHER, ""])
def test_a_worker_of_another_cluster_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, authority: str
) -> None:
    with pytest.raises(HostFailure) as reason:
        join(monkeypatch, authority)
    cluster = "another cluster (https://node1:6443)"
    said = messages.OTHER_CLUSTER(cluster=cluster, control_plane="node1")
    assert reason.value.args[0] == said


def test_an_unreadable_authority_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HostFailure) as reason:
        join(monkeypatch, "garbage")
    assert reason.value.args[0].message is messages.NOT_UNDERSTOOD
