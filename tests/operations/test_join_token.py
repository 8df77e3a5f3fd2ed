"""The join token: one for all that join at once, deleted when the last is through."""

from __future__ import annotations

import json
from base64 import b64encode
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent import GreenletExit

from formats.kubeadm.config import Registration
from formats.node import nodes
from messages import kubernetes as messages
from operations.kubeadm import join_token, run
from operations.kubeadm.certificate_key import certificate_key
from operations.kubeadm.join_token import JoinCredentials, join_credentials
from remote.failures import GoesOn, RemoteFailure
from tests.fake_node import Host

READY = {"conditions": [{"type": "Ready", "status": "True"}]}
AWAY = {"conditions": [{"type": "Ready", "status": "Unknown"}]}
NODES = {
    "items": [
        {"kind": "Node", "metadata": {"name": "node1"}, "status": READY},
        {"kind": "Node", "metadata": {"name": "node3"}, "status": AWAY},
        {"kind": "Node", "metadata": {"name": "node4"}},
    ]
}


class ControlPlane(Host):
    """A control plane that notes which scripts it was given, and with what."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.state = SimpleNamespace()
        self.done = self.said
        self.stdin: list[str] = []
        self.words: list[str] = []
        self.node.answer = self.run

    def run(self, script: str, *words: str, stdin: str | None = None) -> list[str]:
        gevent.sleep(0.01)
        self.done.append("make" if stdin else "delete")
        self.stdin += [stdin] if stdin else []
        self.words += [script, *words]
        nodes = b64encode(json.dumps(NODES).encode()).decode()
        return [b64encode(b"PEM").decode(), nodes] if stdin else []


@pytest.fixture
def control_plane(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(join_token, "key_hash", lambda pem: f"sha256:{pem}")
    return ControlPlane()


def test_workers_that_join_at_once_share_one_token(control_plane: Any) -> None:
    tokens = []

    def join() -> None:
        with join_credentials(control_plane) as credentials:
            tokens.append(credentials.token)
            while len(tokens) < 3:
                gevent.sleep(0)

    gevent.joinall([gevent.spawn(join) for _ in range(3)], raise_error=True)
    assert len(tokens) == 3
    assert len(set(tokens)) == 1
    assert control_plane.done == ["make", "delete"]


def test_token_is_deleted_after_a_failure_and_the_next_one_is_another(control_plane: Any) -> None:
    with pytest.raises(RuntimeError), join_credentials(control_plane) as first:
        raise RuntimeError
    with join_credentials(control_plane) as second:
        pass
    assert control_plane.done == ["make", "delete", "make", "delete"]
    assert first.token != second.token


@pytest.mark.parametrize("end", [GoesOn("it goes on"), GreenletExit()])
def test_what_a_join_needs_that_goes_on_is_kept(
    monkeypatch: pytest.MonkeyPatch, control_plane: Any, end: BaseException
) -> None:
    """A node that is away for a minute: kubeadm goes on there, and the next run follows it."""

    def follow(*_: object) -> bool:
        raise end

    monkeypatch.setattr(run, "follow", follow)
    registration = Registration("node1", "192.168.2.11")
    with (
        pytest.raises(type(end)),
        join_credentials(control_plane),
        certificate_key(control_plane, registration, "v1.36.3"),
    ):
        run.follow_join(control_plane.state, control_plane)
    assert control_plane.done == ["make", "make"]  # the token, and the certificates
    assert join_token.are_kept(control_plane.state)


def test_token_is_passed_on_standard_input_only(control_plane: Any) -> None:
    with join_credentials(control_plane) as credentials:
        secret = credentials.token.partition(".")[2]
    assert b64encode(secret.encode()).decode() in control_plane.stdin[0]
    assert not any(secret in word for word in control_plane.words)
    assert secret not in repr(credentials)


def test_credentials_hold_the_nodes_and_the_ca_hash(control_plane: Any) -> None:
    with join_credentials(control_plane) as credentials:
        known = nodes(NODES["items"])
        assert credentials == JoinCredentials(credentials.token, "sha256:PEM", known)


def test_a_token_that_can_not_be_deleted_is_a_warning(control_plane: Any) -> None:
    def run(script: str, *words: str, stdin: str | None = None) -> list[str]:
        if stdin is None:
            raise RemoteFailure("node1 did not answer")
        return ControlPlane.run(control_plane, script, *words, stdin=stdin)

    control_plane.node.answer = run
    with join_credentials(control_plane):
        pass
    said = messages.TOKEN_NOT_DELETED(reason="node1 did not answer", minutes=15)
    assert control_plane.done[-1] == said
