"""How a run ends: each node by name, and what to do next."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.api import Config, Inventory, State
from pyinfra.api.operation import OperationMeta
from pyinfra.connectors.util import CommandOutput

import runs
from messages import codes
from report.summary import Report


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """A run of one step on two nodes, neither of which was executed yet."""
    monkeypatch.chdir(tmp_path)
    made = State(Inventory((["node1", "node2"], {})), Config())
    meta: Any = SimpleNamespace(names={"Hostname"}, op_order=(1,))
    made.op_meta["hash"] = meta
    for host in made.inventory:
        made.activate_host(host)
        host.op_hash_order.append("hash")
    return made


def ended(state: State, changed: str = "", failed: str = "", executing: bool = True) -> Report:
    """The report of the run, with the node that was changed and the one that failed."""
    state.is_executing = executing
    for host in state.inventory:
        meta = OperationMeta("hash", host.name == changed)
        if executing:
            commands = ["x"] if host.name == changed else []
            meta.set_complete(host.name != failed, commands, CommandOutput([]))
        data: Any = SimpleNamespace(operation_meta=meta)
        state.set_op_data_for_host(host, "hash", data)
        if host.name == failed:
            state.fail_hosts({host})
    report = Report(state)
    report.screen.deploys = report.screen.prepared = True
    return report


def last_lines(report: Report, capsys: pytest.CaptureFixture[str]) -> list[str]:
    report.end()
    return capsys.readouterr().err.splitlines()


def test_a_run_that_changes_nothing_says_that_all_match(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.of(state).suggest("kubectl get nodes")
    assert last_lines(ended(state), capsys)[-2:] == [
        "No changes: all nodes match their configuration",
        "Next: kubectl get nodes",
    ]


def test_a_dry_run_says_what_comes_next(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    lines = last_lines(ended(state, changed="node1", executing=False), capsys)
    assert lines[-1] == "Dry run: nothing was changed. Next: the same command without --dry"


def test_a_node_that_failed_is_named_last(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    runs.of(state).suggest("kubectl get nodes")
    lines = last_lines(ended(state, changed="node1", failed="node2"), capsys)
    assert lines[-1].startswith("node2: failed.")
    assert not any("kubectl" in line for line in lines)
    (row,) = [line.split() for line in lines if line.startswith("node2 ")]
    assert row[:4] == ["node2", "0", "0", "1"]


def test_a_node_that_was_never_reached_is_told_with_what_to_check(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    node2 = state.inventory.get_host("node2")
    state.activated_hosts.discard(node2)
    lines = last_lines(ended(state, failed="node2"), capsys)
    assert lines[-1].startswith("node2: unreachable.")
    assert codes(lines[-1]) == ["RUN016"]


def test_a_node_behind_a_gateway_that_is_off_is_not_the_one_to_check(
    state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ssh_config").write_text("Host node2\n  ProxyJump node1\n")
    for host in state.inventory:
        host.connector.data["ssh_config_file"] = str(tmp_path / "ssh_config")
        state.activated_hosts.discard(host)
        state.failed_hosts.add(host)
    lines = last_lines(ended(state), capsys)
    assert [codes(line) for line in lines[-2:]] == [["RUN016"], ["RUN023"]]
    assert lines[-1].startswith("node2: not reached, because it is behind node1")
    state.activated_hosts.add(state.inventory.get_host("node1"))  # it failed later
    lines = last_lines(ended(state), capsys)
    assert codes(lines[-1]) == ["RUN016"]


def test_an_interrupted_run_counts_nothing(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.of(state).interrupted = True
    assert last_lines(ended(state, changed="node1"), capsys) == []


def test_a_mistake_in_the_summary_is_reported_after_it(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.of(state).reporting_errors.append("Screen.filter: KeyError: x")
    assert codes(last_lines(ended(state), capsys)[-1]) == ["RUN020"]
