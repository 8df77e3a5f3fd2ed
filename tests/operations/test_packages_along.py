"""One apt transaction on a node: what later steps will install is taken along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

from operations.packages import apt
from remote import Result

CHANGES: list[tuple[str, ...]] = []


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    made: Any = FakeState()
    made.is_executing = True
    CHANGES.clear()
    monkeypatch.setattr(apt, "plan_change", lambda *words: CHANGES.append(words))
    with ctx_state.use(made):
        yield made


def installed(state: Any, node: str, *packages: str) -> tuple[Any, ...]:
    with ctx_host.use(create_host(state, node)):
        (command,) = apt.install(list(packages))
    args: tuple[Any, ...] = command.args  # type: ignore[union-attr]
    return args


def expected(state: Any, node: str, *packages: str) -> None:
    with ctx_host.use(create_host(state, node)):
        apt.expect(list(packages))


def test_the_first_installation_takes_all_along(state: Any) -> None:
    expected(state, "node1", "systemd-timesyncd")
    expected(state, "node1", "containerd", "runc")
    expected(state, "node2", "containerd")
    first = installed(state, "node1", "systemd-timesyncd")
    assert first == (["systemd-timesyncd"], False, "containerd", "runc")
    said = "install containerd, runc, which later steps need"
    assert [(said, "package containerd", "package runc")] == CHANGES
    assert installed(state, "node1", "docker.io") == (["docker.io"], False)


def test_a_plan_leaves_them_to_their_own_step(state: Any) -> None:
    state.is_executing = False
    expected(state, "node1", "containerd")
    assert installed(state, "node1", "systemd-timesyncd") == (["systemd-timesyncd"], False)
    assert not CHANGES
    state.is_executing = True
    assert installed(state, "node1", "iptables") == (["iptables"], False, "containerd")


@pytest.mark.parametrize("broken", [["containerd"], ["containerd", "iptables"], []])
def test_what_can_not_be_taken_along_fails_its_own_step_only(
    state: Any, broken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def run(state: Any, host: Any, command: Any) -> Result:
        words = command.get_raw_value().split()
        if "install" not in words or "-f" in words:
            return Result(0, [])
        tried.append(words[words.index("install") + 1 :])
        fails = set(broken) & set(tried[-1])
        return Result(100, ["E: Unable to correct problems"]) if fails else Result(0, [])

    monkeypatch.setattr(apt, "_run_apt", run)
    monkeypatch.setattr(apt, "failed", lambda host, said: False)
    host = create_host(state, "node1")
    assert apt._install(state, host, ["iptables"], False, "containerd") is (
        "iptables" not in broken
    )
    both, alone = ["iptables", "containerd"], ["iptables"]
    assert tried == ([both, alone] if broken else [both])
