"""The state of a run: one object on pyinfra's State, whichever way it is asked for."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from pyinfra.api import Config, Inventory, State
from pyinfra.context import ctx_state
from pyinfra.context import state as state_of_the_context

import runs
from facts.run_lock import RunLockState
from runs import failures, lock
from runs.record import CHANGED, SAME, Change


class Part:
    def __init__(self) -> None:
        self.seen: list[str] = []


def made() -> State:
    return State(Inventory((["node1", "node2"], {})), Config())


def test_a_state_has_one_run_and_another_state_another() -> None:
    state = made()
    context: Any = state_of_the_context
    with ctx_state.use(state):
        assert runs.of(state) is runs.of(context) is runs.current()
    assert runs.of(made()) is not runs.of(state)


def test_a_module_keeps_what_it_knows_for_one_run_only() -> None:
    state = made()
    runs.of(state).part(Part).seen.append("node1")
    assert runs.of(state).part(Part).seen == ["node1"]
    assert runs.of(made()).part(Part).seen == []


def test_a_declared_resource_is_the_same_until_a_change_names_it() -> None:
    record = runs.of(made()).record
    work = record.begin("node1", "hash")
    work.declare("file /a", "file /b")
    work.add(Change("modify /b", ("file /b",)))
    work.declare("file /b")
    assert record.of("node1", "hash").resources == {"file /a": SAME, "file /b": CHANGED}
    assert record.begin("node1", "hash").resources == {}


def test_a_command_is_suggested_once() -> None:
    run = runs.of(made())
    for _ in range(2):
        run.suggest("kubectl get nodes")
    assert run.next_commands == ["kubectl get nodes"]


def test_a_lost_connection_has_a_reason_without_one_in_its_exception() -> None:
    for error, reason in ((EOFError(), "closed by the node"), (OSError("reset"), "reset")):
        said, expected = failures.explain(error)
        assert expected
        assert f"({reason})" in said


def test_this_runs_own_lock_is_no_other_runs() -> None:
    state = made()
    mine = lock.of(state)
    assert not mine.is_another(RunLockState())
    assert not mine.is_another(RunLockState(id=mine._id))
    assert mine.is_another(RunLockState(id=lock.of(made())._id))


def test_what_was_read_before_another_run_ended_is_not_acted_on() -> None:
    mine = lock.of(made())
    never, before = RunLockState(), RunLockState(last="0a1b")
    assert not mine.is_stale(None, "0a1b")
    assert not mine.is_stale(never, "")
    assert not mine.is_stale(before, "0a1b")
    assert not mine.is_stale(before, "")  # it was booted
    assert mine.is_stale(RunLockState(id="0a1b", last="0a1b"), "0a1b")
    assert mine.is_stale(before, "77fe")
    assert mine.is_stale(never, "77fe")


def test_a_node_tells_who_held_its_lock_before(tmp_path: Path) -> None:
    script = lock._HOLD.replace("/run/bramble", str(tmp_path))
    for this, before in (("0a1b", ""), ("77fe", "0a1b")):
        done = subprocess.run(
            ["sh", "-c", script, "sh", this, "{}"], capture_output=True, text=True
        )
        assert done.stdout.strip() == f"{lock._SAYS}mine {before}".strip()


def test_a_commands_line_has_no_values_of_options() -> None:
    words = ["pyinfra", "inventory.py", "a.py", "--ssh-password", "secret", "--limit", "node1"]
    assert lock._command(words) == "pyinfra inventory.py a.py --limit node1"
