"""What is recorded and no longer declared is removed, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import StringCommand
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState, create_host

import runs
from facts.containerd import CONFIG, ContainerdState
from facts.files import FileState
from facts.kubeconfig import Credentials
from facts.kubectl import ClusterObjects
from facts.node_record import KEPT, RecordState
from facts.sysctl import SysctlState
from formats.containerd import Runtime, configured
from formats.node_record import Entry, NodeRecord, fingerprint
from messages import nodes as messages
from operations import containerd, files, kubeconfig, node_record, nodes, removals, sysctl, units
from operations.base import HostFailure
from operations.node_record import ChangedSince
from operations.teardown import check_confirmed
from runs import lock
from workstation import context_record

NODES = {"node1": "192.168.2.11", "node2": "192.168.2.12"}
OTHERS = {"node1": "10.0.0.1", "node9": "10.0.0.9"}
PATH = "/etc/x.conf"
OURS = FileState("file", "644", "root", "root", "ours\n")
THEIRS = FileState("file", "600", "root", "adm", "theirs\n")
ABSENT = FileState("absent")
CONTENT = fingerprint("644", "root", "root", "ours\n")
FILE = Entry((CONTENT,), {"path": PATH}, keeps=(PATH,))


@contextmanager
def node(facts: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """A node in a run, whose facts are given."""
    state = FakeState()
    host = create_host(state, "node1", facts=dict(facts or {}))
    host.log_styled = lambda *_, **__: None
    with ctx_state.use(state), ctx_host.use(host):
        yield host


def found(path: str, now: FileState, kept: FileState) -> dict[str, Any]:
    key = f"paths={[path, f'{KEPT}{path}']}"
    return {"files.Files": {key: {path: now, f"{KEPT}{path}": kept}}}


def said(commands: list[Any]) -> list[str]:
    return [str(command.get_masked_value()) for command in commands]


# --- which resources are removed ------------------------------------------------------------------


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    def remove(resource: str, entry: Entry) -> Any:
        if entry.content == ("changed",):
            raise ChangedSince("rm it")
        if entry.content != ("gone",):
            yield StringCommand("remove", resource)

    monkeypatch.setattr(removals, "KINDS", {"first": remove, "second": remove})


RECORD = NodeRecord(
    {
        "second a": Entry(),
        "first b": Entry(("1",)),
        "first kept": Entry(("old", "new"), before="7", keeps=("/k",)),
        "first plain": Entry(("2",)),
        "first gone": Entry(("gone",)),
        "first changed": Entry(("changed",)),
        "first guarded": Entry(guarded=True),
        "third unknown": Entry(),
    },
    complete=True,
    nodes=NODES,
)


def removed(
    record: NodeRecord,
    whole: bool = True,
    present: Mapping[str, str] = NODES,
    guarded: bool = False,
    take_over: str | None = None,
    here: str = "",
) -> list[str]:
    with node() as host:
        return _removed(host, record, whole, present, guarded, take_over, here)


def _removed(
    host: Any,
    record: NodeRecord,
    whole: bool,
    present: Mapping[str, str],
    guarded: bool,
    take_over: str | None = None,
    here: str = "",
) -> list[str]:
    node_record.put(host, RecordState(record))
    work = runs.of(host.state).record.begin("node1", "an operation")
    work.declare("first kept", "first plain")
    work.recorded["first kept"] = Entry(("new",))
    operation = removals.network.__wrapped__ if guarded else removals.rest
    inner = operation._inner.__wrapped__  # without base.operation
    commands = list(inner(whole, present, "5f", here, take_over))
    return said([command.args[0] if guarded else command for command in commands])


@pytest.mark.usefixtures("kinds")
def test_what_is_no_longer_declared_is_removed_in_the_order_of_the_kinds() -> None:
    assert removed(RECORD) == ["remove first b", "remove second a"]
    assert removed(RECORD, guarded=True) == ["remove first guarded"]


def test_labels_that_another_control_plane_sets_now_stay() -> None:
    """This one has set and recorded them before: in an earlier run it was the one that is asked."""
    stays, goes = "label node4 role", "label node4 former"
    with node() as host:
        node_record.put(host, RecordState(NodeRecord({stays: Entry(), goes: Entry()}, True)))
        runs.of(host.state).record.begin("node1", "")
        operation: Any = nodes.labels_kept
        assert list(operation._inner.__wrapped__({"node4": {"role": ""}})) == []
        assert set(removals._undeclared()) == {goes}


@pytest.mark.usefixtures("kinds")
def test_the_units_of_a_control_plane_are_removed_after_the_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(removals, "_OF_CONTROL_PLANES", ["first b", "first changed", "first none"])
    written: list[NodeRecord] = []
    monkeypatch.setattr(node_record, "write", lambda host, change: written.append(change(RECORD)))
    with node() as host:
        node_record.put(host, RecordState(RECORD))
        runs.of(host.state).record.begin("node1", "an operation")
        operation: Any = removals.of_control_plane
        question, *commands = operation._inner.__wrapped__("bramble", "bramble")
        assert question.args == ("bramble", "bramble")
        assert question.function is check_confirmed
        assert said(commands) == ["remove first b"]
        assert written[0].entries == RECORD.without(["first b"]).entries  # what was changed stays
        node_record.put(host, RecordState(RECORD))
        monkeypatch.setattr(removals, "_OF_CONTROL_PLANES", ["first none"])
        assert list(operation._inner.__wrapped__()) == []


@pytest.mark.usefixtures("kinds")
@pytest.mark.parametrize(
    ("record", "whole"),
    [(RECORD, False), (NodeRecord(newer=True), True), (NodeRecord(), True)],
)
def test_a_partial_run_an_older_bramble_and_a_node_without_a_record_remove_nothing(
    record: NodeRecord, whole: bool
) -> None:
    assert removed(record, whole) == []
    assert removed(record, whole, guarded=True) == []


@pytest.mark.usefixtures("kinds")
def test_another_inventory_that_has_no_use_for_most_of_a_node_stops() -> None:
    with pytest.raises(HostFailure) as reason:
        removed(RECORD, present=OTHERS)
    assert reason.value.args[0].message is messages.OTHER_INVENTORY
    assert reason.value.args[0].values["count"] == 5
    with pytest.raises(HostFailure):
        removed(RECORD, present=OTHERS, take_over="node2")
    assert removed(RECORD, present=OTHERS, take_over="node1") == removed(RECORD)
    most = {f"first {n}": Entry() for n in range(9)}
    with node() as host:
        work = runs.of(host.state).record.begin("node1", "another")
        work.declare(*most)
        record = NodeRecord({**RECORD.entries, **most}, True, "", NODES)
        assert _removed(host, record, True, OTHERS, False) == ["remove first b", "remove second a"]


@pytest.mark.usefixtures("kinds")
def test_what_is_declared_after_the_network_counts_as_of_no_use_only_when_it_is_known() -> None:
    own = {f"first own{n}": Entry(guarded=True) for n in range(2)}
    record = NodeRecord({**RECORD.entries, **own}, True, "", NODES)
    with node() as host:
        runs.of(host.state).record.begin("node1", "another").declare(*own)
        assert _removed(host, record, True, OTHERS, True) == ["remove first guarded"]


@pytest.mark.usefixtures("kinds")
def test_an_old_checkout_that_has_no_use_for_most_of_a_node_stops(tmp_path: Path) -> None:
    here = str(tmp_path / "record.json")
    theirs = replace(RECORD, settings="7e", by="anna on elsewhere, 2026-11-29 20:00 UTC")
    for before in ("", "6d"):
        context_record.remove(here, (), before)
        with pytest.raises(HostFailure) as reason:
            removed(theirs, here=here)
        assert reason.value.args[0].message is messages.OTHER_SETTINGS
        values = {"by": theirs.by, "count": 5, "node": "node1"}
        assert reason.value.args[0].values == values
    assert removed(theirs, here=here, take_over="node1") == removed(RECORD)
    context_record.remove(here, (), "7e")  # they are those of this checkout's last run
    assert removed(theirs, here=here) == removed(RECORD)
    assert removed(replace(theirs, settings="5f"), here="") == removed(RECORD)


@pytest.mark.usefixtures("kinds")
def test_the_record_afterwards_has_what_the_settings_have_and_what_was_left() -> None:
    with node() as host:
        _removed(host, RECORD, True, NODES, False)
        assert "first guarded" in removals._settled(RECORD, OTHERS, "5f").entries
        _removed(host, RECORD, True, NODES, True)
        after = removals._settled(RECORD, OTHERS, "5f")
        assert removals._settled(after, OTHERS, "5f") is after
    assert after.by.startswith(f"{lock.operator()}, 20")
    assert replace(after, by="") == NodeRecord(
        {
            "first kept": Entry(("new",), before="7", keeps=("/k",)),
            "first plain": Entry(("2",)),
            "first changed": Entry(("changed",)),
            "third unknown": Entry(),
        },
        True,
        "5f",
        OTHERS,
    )


@pytest.mark.usefixtures("kinds")
def test_a_node_without_a_record_is_adopted_and_nothing_that_was_there_is_restored_later() -> None:
    with node() as host:
        _removed(host, NodeRecord(), True, NODES, False)
        host_work = runs.of(host.state).record.begin("node1", "another")
        host_work.recorded["first new"] = Entry(("1",), before="0", keeps=("/new",))
        first = removals._settled(NodeRecord(), NODES, "5f")
        later = removals._settled(NodeRecord(complete=True), NODES, "5f")
    assert first.entries == {"first kept": Entry(("new",)), "first new": Entry(("1",))}
    assert later.entries == {}


# --- how each kind is removed ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "kept", "verb"),
    [
        (OURS, ABSENT, "sh -c 'rm -f"),
        (OURS, THEIRS, "sh -c 'set -e; d="),
        (ABSENT, THEIRS, "sh -c 'set -e; d="),
        (ABSENT, ABSENT, None),
        (THEIRS, THEIRS, None),  # restored already, before the power was cut
    ],
)
def test_a_file_is_removed_or_what_it_replaced_comes_back(
    now: FileState, kept: FileState, verb: str | None
) -> None:
    with node(found(PATH, now, kept)):
        commands = said(list(files.remove(f"file {PATH}", FILE)))
    assert [command[: len(verb)] for command in commands] == [verb] if verb else not commands


@pytest.mark.parametrize(
    "now",
    [
        THEIRS,
        FileState("file", "600", "root", "root", "ours\n"),
        FileState("link", "777", "root", "root", "/ours"),
        FileState("directory", "755", "root", "root"),
    ],
)
def test_a_file_that_was_changed_is_left(now: FileState) -> None:
    with node(found(PATH, now, ABSENT)), pytest.raises(ChangedSince, match=f"^rm {PATH}$"):
        list(files.remove(f"file {PATH}", FILE))


@pytest.mark.parametrize("now", [OURS, THEIRS])
def test_an_operation_that_removes_its_file_itself_leaves_a_changed_one_too(now: FileState) -> None:
    with node({"files.Files": {f"paths=['{PATH}']": {PATH: now}}}) as host:
        node_record.put(host, RecordState(NodeRecord({f"file {PATH}": FILE})))
        assert len(list(files.ensure(PATH, None))) == (now == OURS)


def test_a_unit_is_stopped_before_its_file_goes() -> None:
    entry = Entry((CONTENT,), {"path": PATH})
    with node(found(PATH, OURS, ABSENT)):
        first, cleaned, _, last = said(list(units.remove("unit x.service", entry)))
    assert (first, last) == (
        "systemctl disable --now --quiet x.service",
        "systemctl daemon-reload",
    )
    assert "systemctl clean --what=cache" in cleaned
    with node(found(PATH, ABSENT, ABSENT)):
        assert list(units.remove("unit x.service", entry)) == []


KEY = "net.ipv4.ip_forward"
OWN = "/etc/sysctl.d/60-bramble-forward.conf"


@pytest.mark.parametrize(
    ("live", "before", "others", "command"),
    [
        ("1", "0", {}, f"sysctl -q -w {KEY}=0"),
        ("1", "0", {"/etc/sysctl.d/9-x.conf": f"{KEY}=1\n"}, None),
        ("1", "1", {"/etc/sysctl.d/9-x.conf": f"{KEY}=0\n"}, f"sysctl -q -w {KEY}=0"),
        ("1", None, {}, None),  # unknown: until the next boot
        ("0", "0", {}, None),
        (None, "0", {}, None),  # its module is not loaded
    ],
)
def test_a_kernel_parameter_is_again_what_it_is_without_bramble(
    live: str | None, before: str | None, others: dict[str, str], command: str | None
) -> None:
    state = SysctlState({KEY: live}, {OWN: f"{KEY} = 1\n", **others}, ABSENT)
    facts = {"sysctl.Sysctl": {f"keys={[KEY]}, path={OWN}": state}}
    with node(facts):
        entry = Entry(("1",), {"path": OWN}, before)
        assert said(list(sysctl.remove(f"sysctl {KEY}", entry))) == [command] * bool(command)


def test_a_kernel_parameter_that_was_changed_is_left() -> None:
    state = SysctlState({KEY: "2"}, {}, ABSENT)
    with (
        node({"sysctl.Sysctl": {f"keys={[KEY]}, path={OWN}": state}}),
        pytest.raises(ChangedSince, match=f"^sysctl -w {KEY}=0$"),
    ):
        list(sysctl.remove(f"sysctl {KEY}", Entry(("1",), {"path": OWN}, "0")))


@pytest.mark.parametrize(
    ("labels", "before", "word"),
    [
        ({"disk": "ssd"}, None, "disk-"),
        ({"disk": "ssd"}, "hdd", "disk=hdd"),
        ({"disk": "hdd"}, "hdd", None),
        ({"disk": ""}, None, "disk-"),
        ({}, None, None),
        (None, None, None),  # the node has left the cluster
    ],
)
def test_a_label_goes_or_is_what_it_was(
    labels: dict[str, str] | None, before: str | None, word: str | None
) -> None:
    with node({"kubectl.Objects": {"names=['nodes']": _cluster(labels)}}):
        entry = Entry(("ssd", ""), before=before)
        commands = said(list(nodes.remove_label("label node2 disk", entry)))
    assert [command.split()[5:6] for command in commands] == [[word]] * bool(word)


def test_a_label_that_was_changed_is_left() -> None:
    with (
        node({"kubectl.Objects": {"names=['nodes']": _cluster({"disk": "nvme"})}}),
        pytest.raises(ChangedSince, match=r"^kubectl label node node2 disk- --overwrite$"),
    ):
        list(nodes.remove_label("label node2 disk", Entry(("ssd",))))


def test_a_label_that_was_removed_comes_back() -> None:
    inner = nodes.labels_and_taints._inner.__wrapped__
    facts = {"kubectl.Objects": {"names=['nodes']": _cluster({"disk": "hdd"})}}
    with node(facts) as host:
        assert said(list(inner({"node2": {"disk": None}})))[0].endswith(" disk- --overwrite")
        works = runs.of(host.state).record.on(host.name)
        (entry,) = (entry for work in works for entry in work.recorded.values())
    for labels, words in (({}, ["disk=hdd"]), ({"disk": "hdd"}, [])):
        with node({"kubectl.Objects": {"names=['nodes']": _cluster(labels)}}):
            commands = said(list(nodes.remove_label("label node2 disk", entry)))
        assert [command.split()[5] for command in commands] == words
    with (
        node({"kubectl.Objects": {"names=['nodes']": _cluster({"disk": ""})}}),
        pytest.raises(ChangedSince),
    ):
        list(nodes.remove_label("label node2 disk", entry))


COPY = Entry((), {"user": "anna"})


@pytest.mark.parametrize(("holds", "user", "goes"), [("copy", "aa", True), ("", "", False)])
def test_the_copy_of_a_user_who_is_the_administrators_no_longer_goes(
    holds: str, user: str, goes: bool
) -> None:
    credentials = Credentials(admin="bb", user=user, holds=holds, home="/home/anna")
    with node({"kubeconfig.AdminCredentials": {"owner=anna": credentials}}):
        commands = list(kubeconfig.remove("kubeconfig /home/anna/.kube/config", COPY))
    assert [command.split()[-1] for command in said(commands)] == ["/home/anna/.kube/config"] * goes


@pytest.mark.parametrize("holds", ["more", ""])
def test_a_copy_that_was_changed_is_left(holds: str) -> None:
    credentials = Credentials(admin="bb", user="cc", holds=holds, home="/home/anna")
    with (
        node({"kubeconfig.AdminCredentials": {"owner=anna": credentials}}),
        pytest.raises(ChangedSince, match=r"^rm /home/anna/\.kube/config$"),
    ):
        list(kubeconfig.remove("kubeconfig /home/anna/.kube/config", COPY))


def _cluster(labels: dict[str, str] | None) -> ClusterObjects:
    metadata = {"name": "node2", "labels": labels}
    return ClusterObjects(
        True, [{"kind": "Node", "metadata": metadata}] if labels is not None else []
    )


PAUSE = "registry.k8s.io/pause:3.10.2"
KEPT_CONFIG = f"{KEPT}{CONFIG}"


def _containerd(now: str, kept: str | None) -> dict[str, Any]:
    config = FileState("file", "644", "root", "root", now)
    before = FileState("file", "640", "root", "root", kept) if kept is not None else ABSENT
    paths = {CONFIG: config, KEPT_CONFIG: before}
    observed = ContainerdState("1.7.24~ds1", "", True, True, True, False, "", paths)
    return {"containerd.Containerd": {f"paths={[CONFIG, KEPT_CONFIG]}": observed}}


@pytest.mark.parametrize("kept", [None, 'version = 2\n[plugins."io.x"]\npath = "/x" # theirs\n'])
def test_containerd_is_configured_as_if_there_had_never_been_a_mirror(kept: str | None) -> None:
    mirrored = configured(kept, Runtime(PAUSE, mirrors=True), "1.7.24")
    content = fingerprint("644", "root", "root", mirrored)
    entry = Entry((content,), {"pause_image": PAUSE}, keeps=(CONFIG,))
    with node(_containerd(mirrored, kept)):
        commands: list[Any] = list(containerd.remove_mirrors("mirrors of containerd", entry))
    _, write, restart = commands
    assert write.connector_arguments["_stdin"] == configured(kept, Runtime(PAUSE), "1.7.24")
    assert str(write).split()[-2:] == ["644" if kept is None else "640", "root:root"]
    assert restart.function.__name__ == "_restart"
    with node(_containerd(configured(kept, Runtime(PAUSE), "1.7.24"), kept)):
        assert list(containerd.remove_mirrors("mirrors of containerd", entry)) == []
    with node(_containerd(mirrored + "# mine\n", kept)), pytest.raises(ChangedSince):
        list(containerd.remove_mirrors("mirrors of containerd", entry))
