"""What a run that was cut off has left for joins is deleted by the next one."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

from facts.join_tokens import JoinTokens
from facts.kubectl import ClusterObjects
from formats.kubeadm.bootstrap_token import DESCRIPTION
from messages import kubernetes as messages
from operations.base import HostFailure
from operations.kubeadm import certificate_key, join_token, leftovers
from remote.failures import RemoteFailure
from tests.fake_node import Host
from tests.shell import shell

TOKEN = "bootstrap-token-abcdef"
UPLOADED = {certificate_key.NOTE: "uploaded"}


def deleted(
    monkeypatch: pytest.MonkeyPatch,
    tokens: list[str],
    annotations: dict[str, str] | None,
    whole: bool = True,
    kept: bool = False,
) -> tuple[list[str], list[Any]]:
    """What the operation plans, and its commands."""
    planned: list[str] = []
    meta = {"name": "kube-system"} | ({} if annotations is None else {"annotations": annotations})
    namespace = {"kind": "Namespace", "metadata": meta}

    def read(fact: object, names: Sequence[str] = ()) -> list[str] | ClusterObjects:
        return tokens if fact is JoinTokens else ClusterObjects(True, [namespace])

    monkeypatch.setattr(leftovers, "read", read)
    monkeypatch.setattr(leftovers, "plan_change", lambda text, *resources: planned.append(text))
    operation: Any = leftovers.deleted
    inner = getattr(operation._inner, "__wrapped__", operation._inner)
    state = FakeState()
    if kept:
        join_token.keep(state)
    with ctx_state.use(state), ctx_host.use(create_host(state)):
        return planned, list(inner(whole=whole))


def test_nothing_left_is_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    assert deleted(monkeypatch, [], None) == ([], [])
    assert deleted(monkeypatch, [], {"bramble/endpoint": "192.168.2.10"}) == ([], [])


def test_a_node_that_this_run_leaves_out_may_need_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert deleted(monkeypatch, [TOKEN], UPLOADED, whole=False) == ([], [])


def test_a_join_that_this_run_follows_no_more_may_need_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert deleted(monkeypatch, [TOKEN], UPLOADED, kept=True) == ([], [])


def test_what_is_left_is_deleted_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    planned, (command,) = deleted(monkeypatch, [TOKEN], UPLOADED)
    assert planned == [
        f"delete the join token {TOKEN}, which an earlier run has left",
        "delete the uploaded certificates, which an earlier run has left",
    ]
    ran: list[tuple[str, ...]] = []
    host: Any = Host("node1")

    def answer(script: str, *words: str, stdin: str | None = None) -> list[str]:
        ran.append((script, *words))
        return []

    host.node.answer = answer
    state: Any = None
    assert command.function(state, host, *command.args)
    assert ran == [(join_token.DELETE, TOKEN), (certificate_key.DELETE,)]
    assert len(host.said) == 2


def test_what_can_not_be_deleted_fails_the_run() -> None:
    host: Any = Host("node1")

    def answer(script: str, *words: str, stdin: str | None = None) -> list[str]:
        raise RemoteFailure("no route to host")

    host.node.answer = answer
    state: Any = None
    with pytest.raises(HostFailure) as refused:
        leftovers._delete(state, host, [TOKEN], True)
    assert refused.value.args[0] == messages.LEFT_NOT_DELETED(reason="no route to host")


def test_the_script_reads_no_secret_and_survives_without_a_cluster(tmp_path: Path) -> None:
    log = tmp_path / "log"
    said = b64encode(DESCRIPTION.encode()).decode()
    kubectl = f'echo "$*" >> {log}; echo "{TOKEN} {said}"'
    done = shell(JoinTokens.script[0], tools=tmp_path, kubectl=kubectl)
    assert JoinTokens().parse(*done.stdout.splitlines()) == [TOKEN]
    assert "token-secret" not in log.read_text()
    done = shell(JoinTokens.script[0], tools=tmp_path, kubectl="echo no >&2; exit 1")
    assert (done.stdout, done.stderr) == ("\n", "")
