"""What operations ask is gathered in one remote execution a node, and is never stale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand
from pyinfra.api import operation as pyinfra_operation
from pyinfra.api.operations import run_ops
from pyinfra.api.state import StateStage
from pyinfra.context import ctx_host, ctx_state
from pyinfra.operations import server
from typing_extensions import override

import runs
from facts.base import WholeFact, ask, number
from operations import preflight
from operations.base import Commands, depends_on, operation, read, read_from
from operations.preflight.node import Unread
from remote import pyinfra_internals
from runs import gathering
from tests import local_nodes
from tests.local_nodes import LocalNodes


class Text(WholeFact[str]):
    """The first line of a file; the name of the node without one."""

    @override
    def command(self, path: str) -> StringCommand:
        return ask('cat "$1-$NODE" 2>/dev/null || echo "$NODE"', path)

    @override
    def parse(self, line: str) -> str:
        return line


class Length(WholeFact[int]):
    """How many letters there are."""

    @override
    def command(self, word: str) -> StringCommand:
        return ask('echo "${#1}"', word)

    @override
    def parse(self, line: str) -> int:
        return number(line)


class Broken(WholeFact[str]):
    """Its script ends in the middle."""

    @override
    def command(self) -> StringCommand:
        return ask("kill -9 $$")

    @override
    def parse(self, line: str) -> str:
        return line


class Patient(WholeFact[str]):
    """One that waits."""

    @classmethod
    @override
    def at_once(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        return arguments | {"patience": 0}

    @classmethod
    @override
    def is_settled(cls, value: str) -> bool:
        return value != "patience 0"

    @override
    def command(self, patience: int) -> StringCommand:
        return ask('echo "patience $1"', str(patience))

    @override
    def parse(self, line: str) -> str:
        return line


SEEN: list[tuple[str, Any]] = []


def note(value: object) -> None:
    if host.state.is_executing:  # not while it is run to learn what it asks
        SEEN.append((host.name, value))


@operation()
def reads(path: str) -> Commands:
    note(read(Text, path=path))
    yield from ()


@operation()
def reads_twice(path: str) -> Commands:
    text = read(Text, path=path)
    note(read(Length, word=text))
    yield from ()


@operation()
def reads_of(name: str) -> Commands:
    note(read_from(host.state.inventory.get_host(name), Length, word="four", _sudo=True))
    yield from ()


@operation()
def reads_patiently() -> Commands:
    note(read(Patient, patience=9))
    yield from ()


@operation()
def reads_without_sudo() -> Commands:
    note(read(Length, word="four", _sudo=False))
    yield from ()


@operation()
def writes(path: str, text: str, where: str = "node1") -> Commands:
    read(Text, path=path)
    if host.name == where:
        yield StringCommand("sh", "-c", f"'echo {text} > {path}-{where}'")


@operation()
def calls(function: Callable[..., Any]) -> Commands:
    yield FunctionCommand(function, (), {})


@operation()
def fails() -> Commands:
    raise RuntimeError(read(Text, path="a"))
    yield


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LocalNodes:
    SEEN.clear()
    return local_nodes.make(monkeypatch, tmp_path, "node1", "node2")


def queue(nodes: LocalNodes, *calls: tuple[Any, ...], on: str = "") -> None:
    for each in nodes.state.inventory:
        if on in ("", each.name):
            with ctx_state.use(nodes.state), ctx_host.use(each):
                for function, *arguments in calls:
                    function(*arguments, name=f"{function.__name__} {arguments}")


def run(nodes: LocalNodes, *calls: tuple[Any, ...]) -> list[tuple[str, Any]]:
    queue(nodes, *calls)
    run_ops(nodes.state)
    return sorted(SEEN, key=lambda seen: seen[0])


def test_all_that_a_run_asks_is_one_execution(nodes: LocalNodes) -> None:
    seen = run(nodes, (reads, "a"), (depends_on, None), (reads, "b"), (reads, "a"))
    assert seen == [("node1", "node1")] * 3 + [("node2", "node2")] * 3
    assert nodes.count() == {"node1": 1, "node2": 1}


def test_who_held_the_lock_is_known_from_the_same_execution(nodes: LocalNodes) -> None:
    """What is read while another run is at work may be out of date when that run has ended."""
    (nodes.folder / "bramble").mkdir()
    (nodes.folder / "bramble/run.lock.last").write_text("0a1b\n")
    run(nodes, (reads, "a"))
    node1 = nodes.state.inventory.get_host("node1")
    seen = gathering.of(nodes.state).lock_of(node1)
    assert seen is not None
    assert (seen.id, seen.last) == ("", "0a1b")
    assert nodes.count() == {"node1": 1, "node2": 1}


def test_what_follows_from_an_answer_is_a_second_one(nodes: LocalNodes) -> None:
    assert run(nodes, (reads_twice, "a"), (reads, "b"))[0] == ("node1", 5)
    assert nodes.count() == {"node1": 2, "node2": 2}


def test_another_host_is_asked_along_with_its_own_questions(nodes: LocalNodes) -> None:
    seen = run(nodes, (reads, "a"), (reads_of, "node1"))
    assert seen.count(("node2", 4)) == 1
    assert nodes.count() == {"node1": 1, "node2": 1}


@pytest.mark.parametrize("where", ["node1", "node2"])
def test_a_change_anywhere_empties_what_was_gathered(nodes: LocalNodes, where: str) -> None:
    """node2 reads live too after a change of node1 alone, and the other way round."""
    path = f"{nodes.folder}/a"
    (nodes.folder / "a-node1").write_text("old\n")
    seen = run(nodes, (reads, path), (writes, path, "new", where), (reads, path))
    own = [value for name, value in seen if name == "node1"]
    assert own == ["old", "new" if where == "node1" else "old"]
    assert nodes.count() == {"node1": 2 + (where == "node1"), "node2": 2 + (where == "node2")}


def change(state: Any, host: Any) -> bool:
    return True


@pyinfra_operation()
def of_pyinfra() -> Commands:
    yield StringCommand("true")


@pytest.mark.parametrize(
    "another", [(server.shell, "true"), (calls, change), (of_pyinfra,)], ids=str
)
def test_any_command_is_a_change(nodes: LocalNodes, another: tuple[Any, ...]) -> None:
    queue(nodes, (reads, "a"))
    queue(nodes, another, on="node1")
    queue(nodes, (depends_on, None), on="node2")
    queue(nodes, (reads, "b"))
    run_ops(nodes.state)
    commands = another != (calls, change)
    assert nodes.count() == {"node1": 2 + commands, "node2": 2}


def test_a_host_that_fails_changes_nothing(nodes: LocalNodes) -> None:
    queue(nodes, (reads, "a"))
    queue(nodes, (fails,), on="node1")
    queue(nodes, (depends_on, None), on="node2")
    queue(nodes, (reads, "a"))
    run_ops(nodes.state)
    assert sorted(name for name, _ in SEEN) == ["node1", "node2", "node2"]
    assert nodes.count() == {"node1": 1, "node2": 1}


def test_what_an_operation_does_to_a_value_is_its_own(nodes: LocalNodes) -> None:
    class Listed(WholeFact[list[str]]):
        @override
        def command(self) -> StringCommand:
            return ask("echo a")

        @override
        def parse(self, line: str) -> list[str]:
            return [line]

    @operation()
    def appends() -> Commands:
        value = read(Listed)
        value.append("b")
        note(tuple(value))
        yield from ()

    assert {value for _, value in run(nodes, (appends,), (appends,))} == {("a", "b")}


def test_a_fact_that_waits_is_asked_without_waiting_and_read_live(nodes: LocalNodes) -> None:
    assert run(nodes, (reads_patiently,))[0] == ("node1", "patience 9")
    assert nodes.count() == {"node1": 2, "node2": 2}


class Words(WholeFact[str]):
    """One whose answers can be had together."""

    @classmethod
    @override
    def at_once_with(cls, several: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {"words": sorted(word for each in several for word in each["words"])}

    @override
    def command(self, words: list[str]) -> StringCommand:
        return ask('echo "$*"', *words)

    @override
    def parse(self, line: str) -> str:
        return line


def test_one_answer_is_good_for_several_questions(nodes: LocalNodes) -> None:
    @operation()
    def says(words: list[str]) -> Commands:
        note(read(Words, words=words))
        yield from ()

    assert run(nodes, (says, ["b"]), (says, ["a"]))[:2] == [("node1", "a b")] * 2
    assert nodes.count() == {"node1": 1, "node2": 1}


def test_a_fact_with_other_rights_is_read_live(nodes: LocalNodes) -> None:
    assert run(nodes, (reads, "a"), (reads_without_sudo,))[1] == ("node1", 4)
    assert nodes.count() == {"node1": 2, "node2": 2}


def test_a_script_that_breaks_breaks_no_other(nodes: LocalNodes) -> None:
    @operation()
    def breaks() -> Commands:
        if host.name == "node1":
            read(Broken)
        yield from ()

    seen = run(nodes, (breaks,), (reads, "a"), (depends_on, None))
    assert seen == [("node2", "node2")]
    assert {each.name for each in nodes.state.failed_hosts} == {"node1"}
    assert nodes.count() == {"node1": 2, "node2": 1}


def test_a_host_that_does_not_answer_fails_alone(nodes: LocalNodes) -> None:
    nodes.unreachable.add("node1")
    assert run(nodes, (reads, "a"), (reads, "b")) == [("node2", "node2")] * 2
    assert {each.name for each in nodes.state.failed_hosts} == {"node1"}


def test_asking_changes_nothing_and_shows_nothing(
    nodes: LocalNodes, caplog: pytest.LogCaptureFixture
) -> None:
    calls = list[tuple[str, bool]]()

    @operation()
    def shows() -> Commands:
        host.log("before")
        calls.append((host.name, host.state.is_executing))
        note(read(Text, path="a"))
        yield from ()

    caplog.set_level("INFO", "pyinfra")
    run(nodes, (shows,))
    assert calls.count(("node1", True)) == 1  # its own run
    assert calls.count(("node1", False)) == 2  # as in a dry run
    assert sum("before" in each.message for each in caplog.records) == 2


def test_a_dry_run_asks_as_little(nodes: LocalNodes, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyinfra_cli import cli

    def load(state: Any) -> None:
        queue(nodes, (reads, "a"), (reads, "b"), (writes, "c", "new"))
        assert nodes.count() == {}

    nodes.state.check_for_changes = True
    monkeypatch.setattr(cli, "_handle_commands", load)
    pyinfra_internals.check_after_loading(lambda host, error: None)
    nodes.state.set_stage(StateStage.Prepare)
    with ctx_state.use(nodes.state):
        cli._handle_commands(nodes.state)
    assert nodes.count() == {"node1": 1, "node2": 1}
    changes = [
        (each.name, nodes.state.ops[each][op_hash].operation_meta._maybe_is_change)
        for op_hash in nodes.state.get_op_order()
        for each in nodes.state.inventory
    ]
    assert changes == [
        *[("node1", False), ("node2", False)] * 2,
        *[("node1", True), ("node2", False)],
    ]
    # It asks again when it executes: a person may have thought about it for long.
    run_ops(nodes.state)
    assert nodes.count() == {"node1": 2, "node2": 1}


def gathered(nodes: LocalNodes) -> Any:
    specification: dict[str, Any] = {
        "role": "worker",
        "user": "pi",
        "address": "192.168.2.12",
        "interfaces": [],
        "networks": {},
        "resolver": {},
        "kubernetes_version": "1.36",
        "control_planes": {"node1": "192.168.2.11"},
    }
    for each in nodes.state.inventory:
        with ctx_state.use(nodes.state), ctx_host.use(each):
            preflight.gather(name="Gather facts", **specification)
    run_ops(nodes.state)
    found: dict[str, Any] = runs.of(nodes.state).part(preflight._Gathered).nodes
    return found


def test_preflight_goes_on_without_the_parts_that_are_not_understood(
    nodes: LocalNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "_facts", lambda _: {Text: {"path": "a"}, Broken: {}})
    found = gathered(nodes)["node1"]
    assert (found.read(Text), found.read(Broken)) == ("node1", None)
    with pytest.raises(Unread, match="incomplete"):
        found.known(Broken)
    assert nodes.count() == {"node1": 1, "node2": 1}


def test_preflight_says_what_sudo_says(nodes: LocalNodes) -> None:
    nodes.set_sudo("#!/bin/sh\necho 'sudo: a password is required' >&2; exit 1\n")
    assert gathered(nodes)["node2"].sudo == "sudo: a password is required"
    assert nodes.count() == {"node1": 1, "node2": 1}


def test_the_same_arguments_are_the_same_question() -> None:
    one = gathering.Question(Text, {"path": "a", "b": [1]})
    assert one.key == gathering.Question(Text, {"b": [1], "path": "a"}).key
    assert one.key != gathering.Question(Text, {"path": "b", "b": [1]}).key
    assert one.key != gathering.Question(Length, {"path": "a", "b": [1]}).key
