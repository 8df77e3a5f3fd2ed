"""The join token: one for all that join at once, deleted when the last is through."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import gevent
import pytest

from operations.kubeadm import join_token
from operations.kubeadm.join_token import Grant, granted
from operations.remote_shell import RemoteFailure

READY = {"conditions": [{"type": "Ready", "status": "True"}]}
AWAY = {"conditions": [{"type": "Ready", "status": "Unknown"}]}
NODES = {
    "items": [
        {"kind": "Node", "metadata": {"name": "node1"}, "status": READY},
        {"kind": "Node", "metadata": {"name": "node3"}, "status": AWAY},
        {"kind": "Node", "metadata": {"name": "node4"}},
    ]
}


class Head:
    """A head that notes which scripts it was given, and with what."""

    name = "node1"

    def __init__(self) -> None:
        self.done: list[str] = []
        self.stdin: list[str] = []
        self.words: list[str] = []

    def log(self, line: str) -> None:
        self.done.append(line)


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Head()

    def run(host: Head, script: str, *words: str, stdin: str | None = None) -> list[str]:
        gevent.sleep(0.01)
        host.done.append("make" if stdin else "delete")
        host.stdin += [stdin] if stdin else []
        host.words += [script, *words]
        nodes = b64encode(json.dumps(NODES).encode()).decode()
        return [b64encode(b"PEM").decode(), nodes] if stdin else []

    monkeypatch.setattr(join_token, "run", run)
    monkeypatch.setattr(join_token, "key_hash", lambda pem: f"sha256:{pem}")
    return made


def test_all_that_join_at_once_share_one_token(head: Any) -> None:
    tokens = []

    def join() -> None:
        with granted(head) as grant:
            tokens.append(grant.token)
            while len(tokens) < 3:
                gevent.sleep(0)

    gevent.joinall([gevent.spawn(join) for _ in range(3)], raise_error=True)
    assert len(tokens) == 3
    assert len(set(tokens)) == 1
    assert head.done == ["make", "delete"]


def test_token_is_deleted_after_a_failure_and_the_next_one_is_another(head: Any) -> None:
    with pytest.raises(RuntimeError), granted(head) as first:
        raise RuntimeError
    with granted(head) as second:
        pass
    assert head.done == ["make", "delete", "make", "delete"]
    assert first.token != second.token


def test_token_goes_by_standard_input_alone(head: Any) -> None:
    with granted(head) as grant:
        secret = grant.token.partition(".")[2]
    assert b64encode(secret.encode()).decode() in head.stdin[0]
    assert not any(secret in word for word in head.words)
    assert secret not in repr(grant)


def test_ready_nodes_and_the_authority_come_with_it(head: Any) -> None:
    with granted(head) as grant:
        assert grant == Grant(grant.token, "sha256:PEM", frozenset({"node1"}))


def test_a_token_that_can_not_be_deleted_is_told(
    head: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Any = vars(join_token)["run"]

    def run(host: Head, script: str, *words: str, stdin: str | None = None) -> Any:
        if stdin is None:
            raise RemoteFailure("node1 did not answer")
        return real(host, script, *words, stdin=stdin)

    monkeypatch.setattr(join_token, "run", run)
    with granted(head):
        pass
    assert head.done[-1] == (
        "the join token could not be deleted (node1 did not answer); it expires in 15 minutes"
    )
