"""A node's record: when it is written, by which script; what is replaced is kept and restored."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from facts.node_record import FOLDER, Record, RecordState
from formats.node_record import Entry, NodeRecord, parse
from messages import nodes as messages
from operations import files, node_record
from remote.failures import HostFailure, RemoteFailure
from runs import lock
from runs.record import Change, Work
from tests.fake_node import FakeNode, Host

NOTHING = sha256(b"").hexdigest()


def run(script: str, folder: Path, *words: str, stdin: str = "") -> str:
    done = subprocess.run(
        ["sh", "-c", script.replace(FOLDER, str(folder / "lib")), "sh", *words],
        input=stdin,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def write(folder: Path, text: str, digest: str, *words: str) -> str:
    return run(node_record._WRITE, folder, digest, *words, stdin=text)


def tree(folder: Path) -> list[str]:
    script = f"cd {folder} && find . -printf '%p %y %m %l ' -type f -exec md5sum {{}} \\; -o -print"
    return sorted(run(script, folder).splitlines())


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "plain").write_bytes(b"old\xff\n")
    (folder / "plain").chmod(0o640)
    (folder / "link").symlink_to("plain")
    (folder / "60-bramble.conf").write_text("bramble's own\n")
    return folder


def test_a_record_is_private_and_its_digest_is_the_next_one_to_write_over(tmp_path: Path) -> None:
    first = write(tmp_path, "one\n", NOTHING, "--")
    assert first == sha256(b"one\n").hexdigest()
    assert write(tmp_path, "two\n", first, "--") == sha256(b"two\n").hexdigest()
    path = tmp_path / "lib" / "record.json"
    assert path.read_text() == "two\n"
    modes = [oct(each.stat().st_mode & 0o777) for each in (path, path.parent)]
    assert modes == ["0o600", "0o700"]


def test_a_record_that_another_run_has_changed_is_not_overwritten(
    tmp_path: Path, etc: Path
) -> None:
    write(tmp_path, "one\n", NOTHING, "--")
    before = tree(tmp_path)
    assert write(tmp_path, "two\n", NOTHING, str(etc / "plain"), "--") == node_record._STALE
    assert tree(tmp_path) == before


def test_what_is_replaced_is_kept_and_restored_byte_for_byte(tmp_path: Path, etc: Path) -> None:
    names = ("plain", "link", "60-bramble.conf", "new/file")
    before = tree(etc)
    digest = write(tmp_path, "one\n", NOTHING, *(str(etc / name) for name in names), "--")
    kept = tmp_path / "lib" / "kept"
    there = {name for name in names if (kept / f"{etc}/{name}"[1:]).is_symlink()}
    there |= {name for name in names if (kept / f"{etc}/{name}"[1:]).is_file()}
    assert there == {"plain", "link"}
    (etc / "new").mkdir()
    for name in ("plain", "link", "new/file"):
        (etc / name).unlink(missing_ok=True)
        (etc / name).write_text("bramble's\n")
    for name in ("plain", "link"):
        run(files._RESTORE, tmp_path, str(etc / name), str(kept / f"{etc}/{name}"[1:]))
    run(files._REMOVE, tmp_path, str(etc / "new" / "file"))
    assert tree(etc) == before
    write(tmp_path, "two\n", digest, "--", *(str(etc / name) for name in names))
    assert not [each for each in kept.rglob("*") if not each.is_dir()]


def test_a_directory_that_holds_something_else_stays(tmp_path: Path, etc: Path) -> None:
    run(files._REMOVE, tmp_path, str(etc / "60-bramble.conf"))
    assert {each.name for each in etc.iterdir()} == {"plain", "link"}


def test_the_fact_reads_what_was_written(tmp_path: Path) -> None:
    record = Record()
    script = shlex.split(record.command().get_raw_value())[2]  # of sh -c
    nothing = record.process(run(script, tmp_path).splitlines())
    assert nothing.record.entries == {}
    assert (nothing.damage, nothing.digest) == ("", NOTHING)
    write(tmp_path, "{", NOTHING, "--")
    damaged = record.process(run(script, tmp_path).splitlines())
    assert damaged.record.entries == {}
    assert damaged.damage
    assert damaged.digest == sha256(b"{").hexdigest()


# --- when it is written ---------------------------------------------------------------------------


@dataclass
class Remembering:
    """A node that has a record, and what was written to it."""

    state: RecordState = field(default_factory=RecordState)
    written: list[NodeRecord] = field(default_factory=list)
    kept: list[list[str]] = field(default_factory=list)
    reads: int = 0
    meanwhile: list[NodeRecord] = field(default_factory=list)  # written by other runs

    def answer(self, script: str, digest: str, *words: str, stdin: str) -> list[str]:
        if self.meanwhile:
            self.state = RecordState(self.meanwhile.pop(), digest="another")
        if digest != self.state.digest:
            return [node_record._STALE]
        self.state = RecordState(parse(stdin), digest=f"d{len(self.written)}")
        self.written.append(self.state.record)
        self.kept.append(list(words))
        return [self.state.digest]

    def fact(self, *_: object) -> RecordState:
        self.reads += 1
        return self.state


@pytest.fixture
def remembering(monkeypatch: pytest.MonkeyPatch) -> Remembering:
    found = Remembering()
    monkeypatch.setattr(FakeNode, "is_ssh", True)
    monkeypatch.setattr(lock.Lock, "hold", lambda *_: None)
    return found


@pytest.fixture
def host(remembering: Remembering) -> Any:
    host = Host()
    host.node.answer, host.node.fact = remembering.answer, remembering.fact
    return host


FILE = "file /etc/x"
ENTRY = Entry(("1",), {"path": "/etc/x"}, keeps=("/etc/x",))


def work(changed: bool, entry: Entry = ENTRY) -> Work:
    made = Work(recorded={FILE: entry})
    made.declare(FILE)
    if changed:
        made.add(Change("create /etc/x", (FILE,)))
    return made


def test_what_an_operation_is_about_to_make_is_recorded_once(
    host: Any, remembering: Remembering
) -> None:
    node_record.write_ahead(host, work(changed=True))
    assert remembering.written == [NodeRecord({FILE: ENTRY})]
    assert remembering.kept == [["/etc/x", "--"]]
    node_record.write_ahead(host, work(changed=True))
    assert (len(remembering.written), remembering.reads) == (1, 1)


def test_what_is_there_already_is_neither_read_nor_recorded(
    host: Any, remembering: Remembering
) -> None:
    node_record.write_ahead(host, work(changed=False))
    plain = Work()
    plain.add(Change("restart it"))
    node_record.write_ahead(host, plain)
    assert (remembering.written, remembering.reads) == ([], 0)


def test_a_new_content_is_added_before_it_is_written(host: Any, remembering: Remembering) -> None:
    remembering.state = RecordState(NodeRecord({FILE: ENTRY}, complete=True))
    node_record.write_ahead(host, work(changed=True, entry=Entry(("2",), {"path": "/etc/x"})))
    (record,) = remembering.written
    assert record.entries[FILE].content == ("1", "2")
    assert record.entries[FILE].keeps == ("/etc/x",)
    assert record.complete
    assert remembering.kept == [["--"]]


def test_what_another_run_has_recorded_meanwhile_stays(host: Any, remembering: Remembering) -> None:
    remembering.meanwhile = [NodeRecord({"file /etc/y": Entry()})]
    node_record.write_ahead(host, work(changed=True))
    assert remembering.written == [NodeRecord({"file /etc/y": Entry(), FILE: ENTRY})]


def test_an_older_bramble_writes_nothing(host: Any, remembering: Remembering) -> None:
    remembering.state = RecordState(NodeRecord(newer=True))
    node_record.write_ahead(host, work(changed=True))
    assert remembering.written == []


def test_a_record_that_can_not_be_written_fails_the_host_before_the_change(host: Any) -> None:
    def full(*_: object, **__: object) -> list[str]:
        raise RemoteFailure("No space left on device")

    host.node.answer = full
    with pytest.raises(HostFailure) as reason:
        node_record.write_ahead(host, work(changed=True))
    assert reason.value.args[0].message is messages.RECORD_NOT_WRITTEN
    assert str(reason.value.args[0].values["reason"]) == "No space left on device"


def test_what_was_kept_goes_with_the_entry(host: Any, remembering: Remembering) -> None:
    remembering.state = RecordState(NodeRecord({FILE: ENTRY}))
    node_record.write(host, lambda record: record.without([FILE]))
    assert remembering.written == [NodeRecord()]
    assert remembering.kept == [["--", "/etc/x"]]
