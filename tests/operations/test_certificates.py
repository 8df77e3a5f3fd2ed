"""Which certificates are renewed, and which static pods are restarted for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeHost, FakeState, create_host

import runs
from facts.certificates import (
    KUBELET_CLIENT,
    KUBELET_SERVING,
    STATIC_PODS,
    CertificateFile,
    CertificatesState,
    Process,
)
from messages import kubernetes as messages
from operations import certificates, kubeconfig
from operations.base import HostFailure

NOW = datetime(2026, 11, 29, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
OLD = SECONDS - 1000  # when all files were written; the processes started later
PKI = "/etc/kubernetes/pki"
LEAVES = ("apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "front-proxy-client")
OTHERS = ("admin", "super-admin", "scheduler", "controller-manager")
FILES = (
    *(f"{PKI}/{name}.crt" for name in ("ca", "front-proxy-ca", *LEAVES)),
    *(f"{PKI}/etcd/{name}.crt" for name in ("ca", "server", "peer", "healthcheck-client")),
    *(f"/etc/kubernetes/{name}.conf" for name in OTHERS),
    KUBELET_CLIENT,
    KUBELET_SERVING,
)
ALL_PODS = list(STATIC_PODS)


@cache
def pem(days: int) -> str:
    """A certificate that is valid for so many days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    made = (
        builder.public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1000))
        .not_valid_after(NOW + timedelta(days=days, hours=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


def observed(
    days: Mapping[str, int] | None = None, written: Mapping[str, int] | None = None
) -> CertificatesState:
    """
    A control plane whose certificates are valid for 300 days.

    + days: of the files whose path ends so; the first that fits counts
    + written: when files were
    """

    def of(path: str) -> int:
        return next((left for end, left in (days or {}).items() if path.endswith(end)), 300)

    files = {path: CertificateFile(pem(of(path)), (written or {}).get(path, OLD)) for path in FILES}
    processes = {pod: Process(at, OLD + 5) for at, pod in enumerate(ALL_PODS, 100)}
    return CertificatesState(SECONDS, files, processes, rotates=True)


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("log", "log_styled"):
        monkeypatch.setattr(FakeHost, name, lambda *args, **kwargs: None, raising=False)


@contextmanager
def on_a_node() -> Iterator[tuple[Any, Any]]:
    state = FakeState()
    host = create_host(state, facts={})
    with ctx_state.use(state), ctx_host.use(host):
        yield state, host


def planned(monkeypatch: pytest.MonkeyPatch, found: CertificatesState, local: str = "") -> Any:
    """What is passed to the renewal: names, pods, client, serving; None: nothing is done."""
    monkeypatch.setattr(certificates, "read", lambda *_, **__: found)
    monkeypatch.setattr(kubeconfig, "certificate", lambda *_: local)
    operation: Any = certificates.control_plane
    inner = getattr(operation._inner, "__wrapped__", operation._inner)
    with on_a_node() as (state, _):
        commands = list(inner("node1", "pi", 60, "~/.kube/config", "bramble"))
        copies_follow = runs.of(state).part(kubeconfig.Renewal).planned
    if not commands:
        return None
    (command,) = commands
    node, user, names, pods, client, serving = command.args
    assert (node, user) == ("node1", "pi")
    assert copies_follow == ("admin.conf" in names)
    return names, pods, client, serving


def test_nothing_is_renewed_before_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert planned(monkeypatch, observed({"/apiserver.crt": 60})) is None


def test_what_expires_soon_is_renewed_with_the_pods_that_use_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = observed({"/apiserver.crt": 59, "scheduler.conf": -3})
    assert planned(monkeypatch, found) == (
        ["apiserver", "scheduler.conf"],
        ["kube-scheduler", "kube-apiserver"],
        False,
        False,
    )


def test_all_have_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    days = {"/ca.crt": 3000, "-ca.crt": 3000, "": -40}
    names, pods, client, serving = planned(monkeypatch, observed(days))
    assert set(names) == {
        *LEAVES,
        *("etcd-server", "etcd-peer", "etcd-healthcheck-client"),
        *(f"{name}.conf" for name in OTHERS),
    }
    assert (pods, client, serving) == (ALL_PODS, True, True)


def test_an_authority_is_never_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert planned(monkeypatch, observed({"/ca.crt": 20})) is None


def test_the_kubelet_has_no_client_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    found = observed()
    del found.files[KUBELET_CLIENT]
    assert planned(monkeypatch, found) == ([], [], True, False)


def test_an_interrupted_run_is_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificates were renewed, and two pods restarted; the others hold the old ones."""
    renewed = SECONDS - 500
    written = dict.fromkeys(FILES, renewed)
    found = observed(written=written)
    found.processes["kube-scheduler"] = Process(200, renewed + 12)
    found.processes["kube-controller-manager"] = Process(201, renewed + 30)
    assert planned(monkeypatch, found) == ([], ["etcd", "kube-apiserver"], False, False)


def test_a_file_of_a_wrong_clock_restarts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    written = {"/etc/kubernetes/scheduler.conf": SECONDS + 86400}
    assert planned(monkeypatch, observed(written=written)) is None


def test_a_copy_that_has_expired_is_shown_and_left_to_its_own_operation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert planned(monkeypatch, observed(), pem(-5)) is None


def test_without_a_control_plane_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HostFailure) as reason:
        planned(monkeypatch, CertificatesState(SECONDS, {}, {}))
    assert reason.value.args[0].message is messages.NO_CONTROL_PLANE


def test_what_is_no_certificate_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = observed()
    found.files[f"{PKI}/apiserver.crt"] = CertificateFile("", OLD)
    with pytest.raises(HostFailure) as reason:
        planned(monkeypatch, found)
    assert reason.value.args[0].values["what"] == f"{PKI}/apiserver.crt"


@pytest.mark.parametrize(
    ("days", "expected"),
    [({}, None), ({".pem": 59}, (True, False)), ({"kubelet.crt": -1}, (False, True))],
)
def test_a_workers_kubelet(
    monkeypatch: pytest.MonkeyPatch, days: dict[str, int], expected: tuple[bool, bool] | None
) -> None:
    found = observed(days)
    own = {path: found.files[path] for path in (f"{PKI}/ca.crt", KUBELET_CLIENT, KUBELET_SERVING)}
    monkeypatch.setattr(
        certificates, "read", lambda *_, **__: CertificatesState(SECONDS, own, {}, True)
    )
    operation: Any = certificates.worker
    inner = getattr(operation._inner, "__wrapped__", operation._inner)
    with on_a_node():
        commands = list(inner("node2", "node1", 60))
    found_arguments = [tuple(command.args[2:]) for command in commands]
    assert found_arguments == ([expected] if expected else [])
