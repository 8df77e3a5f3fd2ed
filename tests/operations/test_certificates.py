"""Which certificates are renewed, and which static pods are restarted for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

import runs
from facts.certificates import (
    KUBELET_CLIENT,
    KUBELET_SERVING,
    STATIC_PODS,
    CertificateFile,
    CertificatesState,
    Process,
)
from facts.etcd import EtcdMembers, EtcdState
from facts.kubeconfig import Credentials
from facts.livez import Livez
from formats.etcd import Member
from messages import Said
from messages import kubernetes as messages
from operations import certificates, keepalived, kubeconfig
from operations.base import HostFailure
from operations.certificates import renewal
from operations.nodes import control_planes
from operations.nodes.control_planes import ControlPlanes
from tests.fake_node import Host

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
        commands = list(inner("node1", "pi", 60, {"node1": "a"}, "a", "~/.kube/config", "bramble"))
        copies_follow = bool(runs.of(state).part(kubeconfig.Renewals))
    if not commands:
        return None
    (command,) = commands
    _, _, node, user, names, pods, client, serving = command.args
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


@pytest.mark.parametrize(
    ("holds", "renewed", "said"),
    [
        ("more", False, []),
        ("more", True, ["KUB072"]),
        ("outdated", False, ["KUB072"]),
        ("outdated", True, ["KUB072"]),
    ],
)
def test_a_users_kubeconfig_with_other_entries_is_left_when_certificates_are_renewed(
    monkeypatch: pytest.MonkeyPatch, holds: str, renewed: bool, said: list[str]
) -> None:
    found = Credentials(
        admin="a", home="/home/pi", group="pi", user="x", holds=holds, status="600 pi pi"
    )
    planned: list[Said] = []
    monkeypatch.setattr(kubeconfig, "read", lambda *_, **__: found)
    monkeypatch.setattr(kubeconfig, "plan", planned.append)
    operation: Any = kubeconfig.admin
    inner = getattr(operation._inner, "__wrapped__", operation._inner)
    with on_a_node() as (state, made):
        runs.of(state).part(kubeconfig.Renewals).update([made.name] if renewed else [])
        assert list(inner("pi")) == []
    assert [each.message.code for each in planned] == said


# --- of several control planes -------------------------------------------------------------------

ADDRESSES = {"node1": "a1", "node2": "a2", "node3": "a3"}


def members(*healthy: str) -> EtcdState:
    found = [Member(each, each, (each,), False, each in healthy) for each in ADDRESSES.values()]
    return EtcdState("listed", found)


def renewed(
    monkeypatch: pytest.MonkeyPatch, etcd: EtcdState, has_expired: bool = False
) -> list[str]:
    """What is done on node2, in its order; the others' etcd says this."""
    done: list[str] = []
    monkeypatch.setattr(keepalived, "move_away", lambda host, shared: done.append(f"move {shared}"))
    monkeypatch.setattr(control_planes, "_PAUSE_S", 0)
    monkeypatch.setattr(renewal, "ASK_S", 0)
    hosts = {name: Host(name) for name in ADDRESSES}
    state: Any = SimpleNamespace(inventory=SimpleNamespace(get_host=hosts.get))
    after = replace(observed(), processes={"etcd": Process(2, 2)})
    states = iter([observed(), observed(), after])

    def answer(script: str, *words: str, stdin: str | None = None) -> list[str]:
        done.append("renew" if script == renewal._RENEW else script.partition(" ")[0])
        return []

    def fact(name: str, asked: Any, *_: Any) -> Any:
        if isinstance(asked, EtcdMembers):
            if etcd.state == "listed":
                done.append(f"ask {name}")
            return etcd
        return "" if isinstance(asked, Livez) else next(states)

    for name, each in hosts.items():
        each.node.answer, each.node.fact = answer, partial(fact, name)
    planes = ControlPlanes(ADDRESSES, "shared")
    arguments = ("node2", "pi", ["etcd-peer"], ["etcd"], False, False)
    host: Any = hosts["node2"]
    assert renewal.renew_control_plane(state, host, planes, has_expired, *arguments)
    return done


def test_the_address_moves_away_and_etcd_is_whole_again_before_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = renewed(monkeypatch, members("a1", "a2", "a3"))
    work = ["move shared", "renew", "kill"]
    assert [each for each in done if each in work] == work
    assert done[0] == "ask node1"
    assert done[-1] == "ask node1"


@pytest.mark.parametrize(("client", "serving"), [(True, False), (False, True), (True, True)])
def test_a_kubelet_is_restarted_by_what_gives_it_a_certificate(client: bool, serving: bool) -> None:
    """A run that is killed in between leaves nothing by which the next one could tell."""
    script = renewal._kubelet(client, serving)
    assert script.endswith(renewal._RESTART)
    assert (renewal._SIGN in script, renewal._SERVING in script) == (client, serving)


def test_certificates_are_not_renewed_while_another_member_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for etcd, code in ((members("a1", "a2"), "ROL010"), (EtcdState("silent", []), "KUB073")):
        with pytest.raises(HostFailure) as failure:
            renewed(monkeypatch, etcd)
        assert failure.value.args[0].message.code == code


def test_an_etcd_that_has_stopped_for_want_of_certificates_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = renewed(monkeypatch, EtcdState("silent", []), has_expired=True)
    assert done == ["renew", "kill"]
