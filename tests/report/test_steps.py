"""Which steps of a run are shown."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.api import Config, Inventory, State
from pyinfra.api.operation import OperationMeta
from pyinfra.connectors.util import CommandOutput

import runs
from report import steps
from report.screen import SILENT_S, Screen, lines


@pytest.fixture
def state() -> State:
    """Prepared: one operation that changes both nodes, and one that changes nothing."""
    made = State(Inventory((["node1", "node2"], {})), Config())
    for host in made.inventory:
        made.activate_host(host)
        for name, changes in (("Hostname", True), ("Order", False)):
            data: Any = SimpleNamespace(operation_meta=OperationMeta(name, changes))
            meta: Any = SimpleNamespace(names={f"deploys/a.py | {name}"}, op_order=(len(name),))
            made.set_op_data_for_host(host, name, data)
            made.op_meta[name] = meta
            host.op_hash_order.append(name)
    return made


def names(state: State) -> list[tuple[str, str, str]]:
    return [(each.node, each.name, each.outcome) for each in steps.all_of(state, steps.Clock())]


def test_every_step_is_listed_for_each_of_its_nodes(state: State) -> None:
    assert names(state) == [
        ("node1", "Hostname", "planned"),
        ("node2", "Hostname", "planned"),
        ("node1", "Order", "same"),
        ("node2", "Order", "same"),
    ]


def test_bookkeeping_is_in_no_list_and_gets_no_heading(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    for host in state.inventory:
        runs.of(state).record.begin(host.name, "Order").hidden = True
    assert {name for _, name, _ in names(state)} == {"Hostname"}
    screen = Screen(state, steps.Clock(), verbose=False)
    for operation in ("Order", "Hostname"):
        screen.operation_start(state, operation)
        screen._still_at(operation)
        screen.operation_end(state, operation)
    shown = capsys.readouterr().err
    assert "Order" not in shown
    assert "--> Hostname" in shown


def test_the_plan_counts_no_bookkeeping(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    Screen(state, steps.Clock(), verbose=False)._plan()
    assert "the other 1 steps: nothing" in capsys.readouterr().err
    for host in state.inventory:
        runs.of(state).record.begin(host.name, "Order").hidden = True
    Screen(state, steps.Clock(), verbose=False)._plan()
    shown = capsys.readouterr().err
    assert "Hostname: node1, node2" in shown
    assert "the other" not in shown


def test_a_step_that_is_bookkeeping_on_one_node_only_has_its_heading(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    record = runs.of(state).record
    record.begin("node1", "Hostname").hidden = True
    record.begin("node2", "Hostname")
    screen = Screen(state, steps.Clock(), verbose=False)
    screen.operation_start(state, "Hostname")
    screen._still_at("Hostname")
    assert "--> Hostname" in capsys.readouterr().err


def test_a_step_for_all_nodes_needs_no_names(state: State) -> None:
    same = steps.of_operation(state, steps.Clock(), "Order")
    assert lines(same, 2) == ["    ok       Order"]
    assert lines(same[:1], 2) == ["    ok       Order: node1"]


def test_a_silent_step_shows_the_nodes_that_it_waits_for(
    state: State, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("report.screen.time", SimpleNamespace(monotonic=lambda: now))
    node1, _ = state.inventory
    state.is_executing = True
    screen = Screen(state, steps.Clock(), verbose=False)
    screen.operation_start(state, "Hostname")
    now += SILENT_S
    screen._waits("Hostname")
    assert capsys.readouterr().err == "    waiting for node1, node2 (60 s)\n"

    state.ops[node1]["Hostname"].operation_meta.set_complete(True, [], CommandOutput([]))
    now += SILENT_S
    screen._waits("Hostname")
    assert capsys.readouterr().err == "    waiting for node2 (120 s)\n"

    screen.filter(logging.makeLogRecord({"msg": "    [node2] apt: Unpacking runc (43 %)"}))
    capsys.readouterr()
    screen._waits("Hostname")  # a line was just shown
    screen.operation_end(state, "Hostname")
    capsys.readouterr()
    now += SILENT_S
    screen._waits("Hostname")
    assert capsys.readouterr().err == ""


def test_a_node_that_has_failed_is_not_waited_for(
    state: State, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("report.screen.SILENT_S", 0)
    state.is_executing = True
    screen = Screen(state, steps.Clock(), verbose=False)
    screen.operation_start(state, "Hostname")
    state.fail_hosts({next(iter(state.inventory))})
    screen._waits("Hostname")
    assert "waiting for node2 (" in capsys.readouterr().err
