"""What a node is asked to do, apart from the connection itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.api import StringCommand

import remote
from facts.boot import BootId
from remote import Node
from remote.failures import Unreachable
from tests.fake_node import FakeNode, Host


def test_a_host_has_one_node_for_the_whole_run() -> None:
    host: Any = Host()
    assert remote.of(host) is remote.of(host) is host.node


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(remote, "_REBOOT_LOOK_S", 0)
    return Host()


def booting(host: Host, *boots: str | Exception) -> list[str]:
    """The node gives these boot ids, one a look; what it was asked to run."""
    left = list(boots)
    asked: list[str] = []

    def fact(fact: Any) -> str:
        assert isinstance(fact, BootId)
        now = left.pop(0)
        if isinstance(now, Exception):
            raise now
        return now

    def answer(script: str, **_: Any) -> list[str]:
        asked.append(script)
        return []

    host.node.fact, host.node.answer = fact, answer
    return asked


def test_a_reboot_ends_with_another_boot_id(host: Host) -> None:
    asked = booting(host, "a", "a", Unreachable("down"), "b")
    assert host.node.reboot(60, print) is None
    assert asked == ["( sleep 1; systemctl reboot ) </dev/null >/dev/null 2>&1 &"]


def test_a_node_that_stays_away_is_waited_for_in_vain(host: Host) -> None:
    booting(host, "a")
    host.node.reconnects = "no route"
    shown: list[str] = []
    assert host.node.reboot(0.01, shown.append) == "no route"


def test_a_node_that_does_not_go_down_is_not_taken_for_rebooted(host: Host) -> None:
    booting(host, *"aaa")
    assert host.node.reboot(0, print) == "it has not gone down"


def test_this_computer_has_no_connection_to_watch_or_to_lose() -> None:
    node = FakeNode(Host("@local"))
    node.keep_alive()
    assert (node.is_ssh, node.is_lost, node.login_key, node.host_key) == (False, False, None, None)
    assert node.ensure_open() is None


@pytest.mark.parametrize(
    ("error", "reason"), [(TimeoutError(), "TimeoutError"), (OSError("no route"), "no route")]
)
def test_a_node_that_does_not_answer_fails_with_a_reason(error: OSError, reason: str) -> None:
    def run_shell_command(*_: Any, **__: Any) -> Any:
        raise error

    host: Any = SimpleNamespace(
        name="node1", connected=True, run_shell_command=run_shell_command, connector=None
    )
    host.state = SimpleNamespace(print_input=False)
    with pytest.raises(Unreachable) as failure:
        Node(host).output(StringCommand("true"), 1)
    assert failure.value.args[0].values["reason"] == reason
